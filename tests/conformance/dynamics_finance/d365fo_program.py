"""The public client `d365fo-client`, used as its makers describe; runs in an environment of its own.

Arguments: the root of the service and a folder for its cache. Prints what it saw as one JSON document.
"""

import asyncio
import json
import sys
from typing import Any

from d365fo_client import FOClient, FOClientConfig, QueryOptions

KEY = {"dataAreaId": "hcde", "CustomerAccount": "W-1"}
BODY = {**KEY, "CustomerGroupId": "TL", "OrganizationName": "Witness", "SalesCurrencyCode": "EUR"}


async def main(root: str, cache: str) -> dict[str, Any]:
    config = FOClientConfig(base_url=root, enable_metadata_cache=False, metadata_cache_dir=cache)
    async with FOClient(config) as client:
        created = await client.create_entity("CustomersV3", BODY)
        await client.update_entity("CustomersV3", KEY, {"OrganizationName": "Witness Ltd"})
        amended = await client.get_entity("CustomersV3", KEY)
        options = QueryOptions(filter="dataAreaId eq 'hcde'", select=["CustomerAccount"], count=True)
        listed = await client.get_entities("CustomersV3", options)
        was_deleted = await client.delete_entity("CustomersV3", KEY)
        left = await client.get_entities("CustomersV3", options)
    return {"created": created, "amended": amended, "listed": listed, "was_deleted": was_deleted, "left": left}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(*sys.argv[1:]))))
