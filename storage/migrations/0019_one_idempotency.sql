-- Idempotency-Key has one place, table idempotency_key (0009): an entry carries none. No version wrote these columns.

drop index ledger_entry_once;
alter table ledger_entry drop column idempotency_key, drop column request_sha256;
