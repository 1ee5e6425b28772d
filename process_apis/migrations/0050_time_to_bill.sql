-- The billing ledger: terms, rates, one row per source entry, invoices and their lines.
CREATE TABLE billing_contracts (
    tenant              text NOT NULL,
    contract_id         text NOT NULL,
    contract_reference  text NOT NULL,
    opportunity_id      text NOT NULL,
    opportunity_reference text NOT NULL,
    project_id          text NOT NULL,
    customer_id         text NOT NULL,
    customer_name       text NOT NULL,
    legal_entity_code   text NOT NULL,
    currency            text NOT NULL,
    minor_digits        smallint NOT NULL,
    payment_terms_days  integer NOT NULL,
    purchase_order      text,
    rate_card_code      text,
    cap                 numeric(21, 6) CHECK (cap >= 0),
    activated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, contract_id),
    UNIQUE (tenant, project_id)
);

CREATE TABLE billing_workstreams (
    tenant        text NOT NULL,
    workstream_id text NOT NULL,
    contract_id   text NOT NULL,
    name          text NOT NULL,
    item_code     text NOT NULL,
    PRIMARY KEY (tenant, workstream_id),
    FOREIGN KEY (tenant, contract_id) REFERENCES billing_contracts
);

CREATE TABLE billing_milestones (
    tenant        text NOT NULL,
    milestone_id  text NOT NULL,
    contract_id   text NOT NULL,
    workstream_id text NOT NULL,
    reference     text NOT NULL,
    name          text NOT NULL,
    amount        numeric(21, 6) NOT NULL,
    due_on        date NOT NULL,
    PRIMARY KEY (tenant, milestone_id),
    FOREIGN KEY (tenant, workstream_id) REFERENCES billing_workstreams
);

CREATE TABLE billing_rates (
    tenant         text NOT NULL,
    card_code      text NOT NULL,
    role           text NOT NULL,
    currency       text NOT NULL,
    rate           numeric(21, 6) NOT NULL CHECK (rate >= 0),
    effective_from date NOT NULL,
    effective_to   date,
    PRIMARY KEY (tenant, card_code, role, currency, effective_from)
);

CREATE TABLE billing_tax (
    tenant            text NOT NULL,
    legal_entity_code text NOT NULL,
    country           text NOT NULL,
    standard_rate     numeric(8, 6) NOT NULL CHECK (standard_rate BETWEEN 0 AND 1),
    PRIMARY KEY (tenant, legal_entity_code)
);

CREATE TABLE billing_customers (
    tenant      text NOT NULL,
    customer_id text NOT NULL,
    country     text,
    PRIMARY KEY (tenant, customer_id)
);

CREATE TABLE billing_watermarks (
    tenant text NOT NULL,
    feed   text NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (tenant, feed)
);

CREATE TABLE billing_runs (
    tenant       text NOT NULL,
    run_id       text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    through      text,
    contract_id  text,
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'drafted', 'failed')),
    collected    integer NOT NULL DEFAULT 0,
    invoices     integer NOT NULL DEFAULT 0,
    message      text,
    finished_at  timestamptz,
    PRIMARY KEY (tenant, run_id)
);

CREATE TABLE invoices (
    tenant         text NOT NULL,
    invoice_id     text NOT NULL,
    contract_id    text NOT NULL,
    period         char(7) NOT NULL CHECK (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    sequence       integer NOT NULL CHECK (sequence >= 1),
    run_id         text NOT NULL,
    requested_by   text NOT NULL,
    currency       text NOT NULL,
    invoice_on     date NOT NULL,
    tax_rate       numeric(8, 6) NOT NULL,
    net            numeric(21, 6) NOT NULL,
    tax            numeric(21, 6) NOT NULL,
    gross          numeric(21, 6) NOT NULL,
    state          text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'approved', 'posted', 'rejected')),
    erp_ref        text,
    erp_system     text,
    marked_at      timestamptz,
    told_at        timestamptz,
    paid           numeric(21, 6) NOT NULL DEFAULT 0,
    drafted_at     timestamptz NOT NULL DEFAULT now(),
    approved_at    timestamptz,
    posted_at      timestamptz,
    problem        text,
    PRIMARY KEY (tenant, invoice_id),
    UNIQUE (tenant, contract_id, period, sequence),
    FOREIGN KEY (tenant, contract_id) REFERENCES billing_contracts,
    CHECK (gross = net + tax),
    CHECK ((state = 'posted') = (erp_ref IS NOT NULL))
);
CREATE INDEX invoices_by_state ON invoices (tenant, state, invoice_id);
-- While one draft of a contract and month is undecided there is no second one.
CREATE UNIQUE INDEX invoices_one_open ON invoices (tenant, contract_id, period) WHERE state IN ('draft', 'approved');

CREATE TABLE invoice_lines (
    tenant        text NOT NULL,
    line_id       text NOT NULL,
    invoice_id    text NOT NULL,
    position      integer NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('time', 'expense', 'milestone')),
    workstream_id text,
    item_code     text NOT NULL,
    description   text NOT NULL,
    quantity      numeric(21, 6) NOT NULL,
    rate          numeric(21, 6) NOT NULL,
    net           numeric(21, 6) NOT NULL,
    entries       integer NOT NULL,
    PRIMARY KEY (tenant, line_id),
    UNIQUE (tenant, invoice_id, position),
    FOREIGN KEY (tenant, invoice_id) REFERENCES invoices
);

CREATE TABLE work_entries (
    tenant        text NOT NULL,
    system        text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('time', 'expense', 'milestone')),
    source_ref    text NOT NULL,
    version       text NOT NULL,
    entry_id      text NOT NULL,
    reference     text COLLATE "C" NOT NULL,
    project_id    text NOT NULL,
    workstream_id text,
    milestone_id  text,
    resource_id   text,
    role          text,
    work_on       date NOT NULL,
    hours         numeric(9, 4) NOT NULL DEFAULT 0 CHECK (hours >= 0),
    source_amount numeric(21, 6),
    source_currency text,
    is_billable   boolean NOT NULL,
    is_approved   boolean NOT NULL,
    is_billed_in_source boolean NOT NULL,
    contract_id   text,
    state         text NOT NULL DEFAULT 'collected' CHECK (state IN (
        'collected', 'awaiting_project', 'not_billable', 'unapproved', 'awaiting_rate', 'over_cap',
        'billed_elsewhere', 'ready', 'drafted', 'billed')),
    reason        text,
    rate          numeric(21, 6),
    amount        numeric(21, 6),
    line_id       text,
    -- What the source says by now of an entry that stands on an invoice; taken up when its draft is released.
    latest        jsonb,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, system, kind, source_ref),
    UNIQUE (tenant, entry_id),
    FOREIGN KEY (tenant, line_id) REFERENCES invoice_lines,
    -- An entry is consumed if and only if it points at the line that consumed it.
    CHECK ((state IN ('drafted', 'billed')) = (line_id IS NOT NULL)),
    CHECK (line_id IS NULL OR amount IS NOT NULL)
);
CREATE INDEX work_entries_by_contract ON work_entries (tenant, contract_id, state);
CREATE INDEX work_entries_by_project ON work_entries (tenant, project_id) WHERE contract_id IS NULL;
CREATE INDEX work_entries_by_line ON work_entries (tenant, line_id) WHERE line_id IS NOT NULL;
CREATE INDEX work_entries_by_state ON work_entries (tenant, state, entry_id);

CREATE TABLE work_adjustments (
    tenant      text NOT NULL,
    system      text NOT NULL,
    kind        text NOT NULL,
    source_ref  text NOT NULL,
    version     text NOT NULL,
    noticed_at  timestamptz NOT NULL DEFAULT now(),
    was         jsonb NOT NULL,
    is_now      jsonb NOT NULL,
    PRIMARY KEY (tenant, system, kind, source_ref, version),
    FOREIGN KEY (tenant, system, kind, source_ref) REFERENCES work_entries
);

-- A consumed entry never moves from one line to another, and never leaves a posted invoice.
CREATE FUNCTION guard_consumed_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.line_id IS NOT NULL AND NEW.line_id IS DISTINCT FROM OLD.line_id THEN
        RAISE EXCEPTION 'entry % is already on invoice line %', OLD.source_ref, OLD.line_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM invoice_lines l JOIN invoices i USING (tenant, invoice_id)
               WHERE l.tenant = OLD.tenant AND l.line_id = OLD.line_id AND i.state = 'posted')
       AND (NEW.line_id IS DISTINCT FROM OLD.line_id OR NEW.amount IS DISTINCT FROM OLD.amount
            OR NEW.state <> 'billed') THEN
        RAISE EXCEPTION 'entry % stands on a posted invoice', OLD.source_ref
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER work_entries_guard BEFORE UPDATE OF line_id, amount, state ON work_entries
    FOR EACH ROW WHEN (OLD.line_id IS NOT NULL) EXECUTE FUNCTION guard_consumed_entry();

CREATE FUNCTION keep_consumed_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entry % is on invoice line % and cannot be deleted', OLD.source_ref, OLD.line_id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER work_entries_keep BEFORE DELETE ON work_entries
    FOR EACH ROW WHEN (OLD.line_id IS NOT NULL) EXECUTE FUNCTION keep_consumed_entry();

-- At commit every line's net is the sum of the entries that point at it, and every invoice's net the sum of its lines.
CREATE FUNCTION check_invoice_sums() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lines numeric; entries numeric; current invoices%ROWTYPE;
BEGIN
    SELECT * INTO current FROM invoices WHERE tenant = NEW.tenant AND invoice_id = NEW.invoice_id;
    IF current.state = 'rejected' THEN RETURN NULL; END IF;
    SELECT coalesce(sum(net), 0) INTO lines FROM invoice_lines
        WHERE tenant = NEW.tenant AND invoice_id = NEW.invoice_id;
    SELECT coalesce(sum(e.amount), 0) INTO entries FROM work_entries e
        JOIN invoice_lines l ON l.tenant = e.tenant AND l.line_id = e.line_id
        WHERE l.tenant = NEW.tenant AND l.invoice_id = NEW.invoice_id;
    IF lines <> current.net OR entries <> current.net THEN
        RAISE EXCEPTION 'invoice %: net %, lines %, entries %', NEW.invoice_id, current.net, lines, entries
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER invoices_sums AFTER INSERT OR UPDATE OF net, state ON invoices
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_invoice_sums();

-- What other rooms may read of billing.
CREATE VIEW billing_invoices_v AS
SELECT i.tenant, c.opportunity_id, i.contract_id, i.invoice_id, i.period, i.state, i.currency, i.net, i.tax, i.gross,
       i.paid, i.drafted_at AS ready_on, i.drafted_at, i.posted_at
FROM invoices i JOIN billing_contracts c USING (tenant, contract_id);

CREATE VIEW billing_work_v AS
SELECT e.tenant, c.opportunity_id, e.state, count(*) AS entries, sum(e.hours) AS hours, sum(e.amount) AS amount, c.currency
FROM work_entries e JOIN billing_contracts c ON c.tenant = e.tenant AND c.contract_id = e.contract_id
GROUP BY e.tenant, c.opportunity_id, e.state, c.currency;
