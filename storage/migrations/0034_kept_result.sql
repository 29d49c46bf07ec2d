-- Results of tools that were too large for a reply, kept whole for a while (mcp/content/kept_result_store.h).

create table kept_result (
  platform_id uuid not null,
  result_id text not null,
  end_user_id uuid not null,
  key_id uuid not null,  -- the key that made the call, or the authorization behind its access token
  connection_id uuid not null,
  tool text not null,
  body text not null,    -- sealed by the vault
  bytes bigint not null,  -- of the body when it is open
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (platform_id, result_id),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade,
  foreign key (platform_id, connection_id) references connection (platform_id, connection_id) on delete cascade
);
create index kept_result_by_end_user on kept_result (platform_id, end_user_id, created_at);
create index kept_result_by_connection on kept_result (platform_id, connection_id);
create index kept_result_expiry on kept_result (expires_at);
select assistiv_protect('kept_result');

-- What was read through a connection goes with it.
create function assistiv_drop_kept_results() returns trigger language plpgsql as $$
begin
  delete from kept_result where platform_id = new.platform_id and connection_id = new.connection_id;
  return null;
end $$;
create trigger drop_kept_results after update of status on connection
  for each row when (new.status = 'revoked') execute function assistiv_drop_kept_results();
