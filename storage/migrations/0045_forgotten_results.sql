-- What a session's streams keep for resumption are answers of tools: they go when the access goes that they were read
-- with, and after an hour in any case. A row stays without its data, so that the numbers of its stream go on.

alter table mcp_stream_event add column created_at timestamptz not null default now();
create index mcp_stream_event_age on mcp_stream_event (created_at) where data <> '';

create function assistiv_forget_stream_events(of_platform uuid, of_end_user uuid) returns void language sql as $$
  update mcp_stream_event e set data = '' from mcp_session s
  where s.platform_id = of_platform and s.end_user_id = of_end_user
    and e.platform_id = s.platform_id and e.session_id = s.session_id and e.data <> ''
$$;

create function assistiv_forget_after_disconnect() returns trigger language plpgsql as $$
begin
  perform assistiv_forget_stream_events(new.platform_id, new.end_user_id);
  return null;
end $$;
create trigger forget_on_disconnect after update of status on connection
  for each row when (new.status = 'revoked' and old.status <> 'revoked') execute function assistiv_forget_after_disconnect();

create function assistiv_forget_after_revocation() returns trigger language plpgsql as $$
begin
  perform assistiv_forget_stream_events(old.platform_id, old.end_user_id);
  return null;
end $$;
create trigger forget_on_removal after delete on connection
  for each row execute function assistiv_forget_after_revocation();
create trigger forget_on_switch_off after update of is_active on api_key
  for each row when (old.end_user_id is not null and old.is_active and not new.is_active)
  execute function assistiv_forget_after_revocation();
create trigger forget_on_removal after delete on api_key
  for each row when (old.end_user_id is not null) execute function assistiv_forget_after_revocation();
create trigger forget_on_removal after delete on client_authorization
  for each row when (old.code_used_at is not null) execute function assistiv_forget_after_revocation();

-- A call that ends while its connection is being revoked keeps nothing. The lock makes one wait for the other.
create function assistiv_keep_while_connected() returns trigger language plpgsql as $$
begin
  perform 1 from connection where platform_id = new.platform_id and connection_id = new.connection_id
    and status <> 'revoked' for share;
  if not found then return null; end if;
  return new;
end $$;
create trigger keep_while_connected before insert on kept_result
  for each row execute function assistiv_keep_while_connected();
