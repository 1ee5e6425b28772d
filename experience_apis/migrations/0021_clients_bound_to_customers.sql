-- Clients may be bound to customers, as people are: their tokens open these customers' records only.

-- NULL: the whole tenant; never empty, which would read like NULL to whoever skims the table
ALTER TABLE oauth_clients
    ADD COLUMN customers text[] CHECK (customers IS NULL OR cardinality(customers) > 0);
