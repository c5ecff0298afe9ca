-- The sample shop: what `strongroom demo` backs up. Its rows are made by engine/sample.py.
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    city TEXT NOT NULL,
    country TEXT NOT NULL CHECK (length(country) = 2),
    joined_at TEXT NOT NULL,
    note TEXT
);
CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    category_id INTEGER NOT NULL REFERENCES categories (id),
    name TEXT NOT NULL,
    sku TEXT NOT NULL UNIQUE,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    weight_kg REAL,
    picture BLOB
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ordered_at TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('new', 'paid', 'sent', 'returned'))
);
CREATE TABLE order_lines (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    line INTEGER NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
) WITHOUT ROWID;
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES products (id),
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    text TEXT
);
CREATE TABLE stock_moves (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES products (id),
    moved_at TEXT NOT NULL,
    change INTEGER NOT NULL
);
CREATE INDEX orders_by_customer ON orders (customer_id, ordered_at);
CREATE INDEX order_lines_by_product ON order_lines (product_id);
CREATE INDEX customers_by_city ON customers (city COLLATE NOCASE);
CREATE VIEW order_totals AS
    SELECT orders.id AS order_id, orders.customer_id, sum(quantity * price_cents) AS total_cents
    FROM orders JOIN order_lines ON order_lines.order_id = orders.id
    GROUP BY orders.id;
CREATE TRIGGER sent_moves_stock AFTER UPDATE OF status ON orders WHEN NEW.status = 'sent'
BEGIN
    INSERT INTO stock_moves (product_id, moved_at, change)
        SELECT product_id, NEW.ordered_at, -quantity FROM order_lines WHERE order_id = NEW.id;
END;
