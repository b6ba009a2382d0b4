-- Up Migration
CREATE TABLE orders (
  -- Order of storing, for pages; not shown to callers.
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
  customer text NOT NULL CHECK (char_length(customer) BETWEEN 1 AND 200),
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE order_items (
  order_number bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
  position integer NOT NULL CHECK (position >= 1),
  sku text NOT NULL CHECK (sku ~ '^[A-Za-z0-9._-]{1,64}$'),
  quantity integer NOT NULL CHECK (quantity >= 1),
  -- In the currency's smallest unit.
  unit_price bigint NOT NULL CHECK (unit_price >= 0),
  PRIMARY KEY (order_number, position)
);

-- Down Migration
DROP TABLE order_items;
DROP TABLE orders;
