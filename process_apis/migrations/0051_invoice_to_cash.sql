-- Payments as the ERP booked them, and what part of them settles which of our invoices.
CREATE TABLE payments (
    tenant      text NOT NULL,
    payment_id  text NOT NULL,
    system      text NOT NULL,
    ref         text NOT NULL,
    version     text NOT NULL,
    received_on date NOT NULL,
    currency    text NOT NULL,
    amount      numeric(21, 6) NOT NULL CHECK (amount >= 0),
    applied     numeric(21, 6) NOT NULL DEFAULT 0,
    modified_at timestamptz,
    -- Every invoice that any version of the payment ever settled: all of them are told when it changes.
    touched     text[] NOT NULL DEFAULT '{}',
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, payment_id),
    UNIQUE (tenant, system, ref)
);

CREATE TABLE payment_applications (
    tenant     text NOT NULL,
    payment_id text NOT NULL,
    invoice_id text NOT NULL,
    amount     numeric(21, 6) NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (tenant, payment_id, invoice_id),
    FOREIGN KEY (tenant, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant, invoice_id) REFERENCES invoices
);
CREATE INDEX payment_applications_by_invoice ON payment_applications (tenant, invoice_id);
