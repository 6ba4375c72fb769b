-- Since when the user is an administrator; NULL for others.
ALTER TABLE users ADD COLUMN administrator_since_us INTEGER;
