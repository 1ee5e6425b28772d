-- Rooms every process uses: journal, approvals, exceptions, remedies, executors.

CREATE TABLE journal_entries (
    position       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant         text NOT NULL,
    subject_id     text NOT NULL,
    run_id         text NOT NULL,
    step           text NOT NULL,
    sentence       text NOT NULL,
    written_by     text NOT NULL,
    system         text,
    ref            text,
    amount         numeric(21, 6),
    currency       text,
    correlation_id text,
    written_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, run_id, step)
);
CREATE INDEX journal_entries_by_subject ON journal_entries (tenant, subject_id, position);

CREATE TABLE approvals (
    tenant       text NOT NULL,
    id           text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('delivery', 'finance', 'invoice')),
    group_id     text NOT NULL,
    subject_id   text NOT NULL,
    run_id       text NOT NULL,
    topic        text NOT NULL,
    title        text NOT NULL,
    requested_by text NOT NULL,
    amount       numeric(21, 6),
    currency     text,
    snapshot     jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'rejected', 'expired', 'withdrawn')),
    requested_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    decided_at   timestamptz,
    decided_by   text,
    comment      text,
    noticed_at   timestamptz,
    position     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (tenant, id),
    -- Segregation of duties holds even if two decisions race each other.
    CONSTRAINT whoever_asked_does_not_decide CHECK (state NOT IN ('approved', 'rejected') OR decided_by <> requested_by),
    CONSTRAINT a_decision_has_a_person CHECK (state NOT IN ('approved', 'rejected') OR decided_by IS NOT NULL)
);
CREATE UNIQUE INDEX one_person_decides_once_per_group ON approvals (tenant, group_id, decided_by)
    WHERE state IN ('approved', 'rejected');
CREATE INDEX approvals_by_state ON approvals (tenant, state, kind, position);
CREATE INDEX approvals_by_subject ON approvals (tenant, subject_id);
CREATE INDEX approvals_unnoticed ON approvals (decided_at) WHERE decided_at IS NOT NULL AND noticed_at IS NULL;

-- Who decided what, when, and what they saw: rows are only ever added.
CREATE TABLE approval_decisions (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL,
    approval_id text NOT NULL,
    decision    text NOT NULL,
    decided_by  text NOT NULL,
    through     text NOT NULL,
    comment     text,
    saw         jsonb NOT NULL,
    decided_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX approval_decisions_by_approval ON approval_decisions (tenant, approval_id);

CREATE TABLE exception_items (
    tenant            text NOT NULL,
    id                text NOT NULL,
    process           text NOT NULL,
    subject_id        text NOT NULL,
    run_id            text NOT NULL,
    topic             text NOT NULL,
    title             text NOT NULL,
    findings          jsonb NOT NULL,
    codes             text[] NOT NULL,
    owner_role        text NOT NULL,
    region            text,
    state             text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved', 'cancelled')),
    assigned_to       text,
    opened_at         timestamptz NOT NULL DEFAULT now(),
    due_at            timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT now(),
    closed_at         timestamptz,
    times_checked     integer NOT NULL DEFAULT 1,
    wake_requested_at timestamptz,
    wake_because      text,
    woken_at          timestamptz,
    position          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX one_open_item_per_run ON exception_items (tenant, run_id) WHERE state = 'open';
CREATE INDEX exception_items_by_state ON exception_items (tenant, state, position);
CREATE INDEX exception_items_by_subject ON exception_items (tenant, subject_id);

CREATE TABLE exception_acts (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   text NOT NULL,
    item_id  text NOT NULL,
    act      text NOT NULL,
    who      text NOT NULL,
    note     text,
    at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX exception_acts_by_item ON exception_acts (tenant, item_id);

CREATE TABLE remedies (
    tenant      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('product_alias')),
    subject     text NOT NULL,
    value       text NOT NULL,
    supplied_by text NOT NULL,
    supplied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind, subject)
);

CREATE TABLE executors (
    executor_id text PRIMARY KEY,
    app_version text NOT NULL,
    seen_at     timestamptz NOT NULL,
    adopted_by  text
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER journal_entries_are_final BEFORE UPDATE OR DELETE ON journal_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER approval_decisions_are_final BEFORE UPDATE OR DELETE ON approval_decisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
