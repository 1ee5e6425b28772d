-- Hints are leased while their record is read, and only the record's own troubles count against them.
ALTER TABLE change_hints
    ADD COLUMN leased_by    text,
    ADD COLUMN leased_until timestamptz,
    ADD COLUMN failures     integer NOT NULL DEFAULT 0,
    ADD COLUMN settled_at   timestamptz;
DROP INDEX change_hints_pending;
CREATE INDEX change_hints_due ON change_hints (tenant, system, due_at, id) WHERE state = 'pending';
CREATE INDEX change_hints_leased ON change_hints (tenant, system, entity, ref)
    WHERE state = 'pending' AND leased_until IS NOT NULL;
CREATE INDEX change_hints_failed ON change_hints (tenant, id) WHERE state = 'failed';
