-- What every later migration stands on: times as epoch milliseconds, and the wall between tenants.

-- timestamptz -> epoch milliseconds.
create function assistiv_ms(t timestamptz) returns bigint
  language sql stable strict parallel safe
  return floor(extract(epoch from t) * 1000)::bigint;

-- Epoch milliseconds -> timestamptz.
create function assistiv_time(ms bigint) returns timestamptz
  language sql immutable strict parallel safe
  return to_timestamp(ms::double precision / 1000);

-- Row-level security on a tenant table: a transaction sees and writes the rows of its platform only, or all rows when it
-- declared itself to be the system's own work (storage::Scope). Forced, so that it binds the owner of the table too.
-- The settings are read in sub-selects: once per statement, not once per row.
create function assistiv_protect(tenant_table regclass) returns void
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', tenant_table);
  execute format('alter table %s force row level security', tenant_table);
  execute format(
    'create policy tenant on %s using ('
    '  platform_id = (select nullif(current_setting(''assistiv.platform_id'', true), '''')::uuid)'
    '  or (select current_setting(''assistiv.system'', true)) = ''on'')', tenant_table);
end $$;
