"""The one room that knows the durable engine: codec, retries, engine, keeper; nothing of the business may enter."""
