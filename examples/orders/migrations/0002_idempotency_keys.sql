-- Up Migration
-- A caller that lost the answer sends the order again with the same key: it is stored once.
ALTER TABLE orders
  ADD COLUMN idempotency_key text CHECK (char_length(idempotency_key) BETWEEN 1 AND 200),
  -- SHA-256 of the order as it was sent: the same key with another order is refused.
  ADD COLUMN request_digest bytea,
  ADD CONSTRAINT orders_idempotency_key_key UNIQUE (idempotency_key),
  ADD CONSTRAINT orders_idempotency_check CHECK ((idempotency_key IS NULL) = (request_digest IS NULL));

-- Down Migration
ALTER TABLE orders
  DROP COLUMN idempotency_key,
  DROP COLUMN request_digest;
