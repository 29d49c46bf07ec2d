-- The audit trail: per platform one chain of entries without a gap, each one's hash over the hash before it. Only adding
-- is allowed; everything of a platform goes when the platform goes.

-- The end of each chain. Who appends locks this row first, so a platform's entries are written one transaction at a time.
create table audit_head (
  platform_id uuid primary key references platform on delete cascade,
  seq bigint not null,
  hash bytea not null check (octet_length(hash) = 32)
);
select assistiv_protect('audit_head');

-- No foreign key: the locked head stands for it, and a check per row would cost more than the row.
-- details is json, not jsonb: it must come back byte by byte, because the hash is over the text.
create table audit_entry (
  platform_id uuid not null,
  seq bigint not null,
  at timestamptz not null,
  event text not null,
  actor_kind text not null,
  key_id uuid,
  end_user_id uuid,
  subject text not null,
  details json not null,
  request_id text not null,
  prev_hash bytea not null check (octet_length(prev_hash) = 32),
  hash bytea not null check (octet_length(hash) = 32),
  primary key (platform_id, seq)
);
create index audit_entry_by_event on audit_entry (platform_id, event, seq);
create index audit_entry_by_end_user on audit_entry (platform_id, end_user_id, seq) where end_user_id is not null;
select assistiv_protect('audit_entry');

create function assistiv_audit_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'the audit trail is append-only: % on %', lower(tg_op), tg_table_name
    using errcode = 'restrict_violation';
end $$;

create trigger append_only before update or truncate on audit_entry
  for each statement execute function assistiv_audit_refuse();
create trigger append_only before truncate on audit_head
  for each statement execute function assistiv_audit_refuse();

-- Entries may be deleted when their head is gone, and a head when its platform is gone.
create function assistiv_audit_entries_deleted() returns trigger language plpgsql as $$
begin
  if exists (select from (select distinct platform_id from gone) g join audit_head using (platform_id)) then
    raise exception 'the audit trail is append-only: delete on audit_entry' using errcode = 'restrict_violation';
  end if;
  return null;
end $$;
create trigger with_its_head after delete on audit_entry referencing old table as gone
  for each statement execute function assistiv_audit_entries_deleted();

create function assistiv_audit_head_deleted() returns trigger language plpgsql as $$
begin
  if exists (select from platform where platform_id = old.platform_id) then
    raise exception 'the audit trail is append-only: delete on audit_head' using errcode = 'restrict_violation';
  end if;
  delete from audit_entry where platform_id = old.platform_id;
  return null;
end $$;
create trigger with_its_platform after delete on audit_head
  for each row execute function assistiv_audit_head_deleted();

create function assistiv_audit_head_updated() returns trigger language plpgsql as $$
begin
  if new.platform_id <> old.platform_id or new.seq <= old.seq then
    raise exception 'the audit trail is append-only: update on audit_head' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger forward_only before update on audit_head
  for each row execute function assistiv_audit_head_updated();
