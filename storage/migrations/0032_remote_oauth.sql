-- End users sign in at a remote MCP server themselves (mcp/remote/remote_oauth.h).

alter table remote_server drop constraint remote_server_auth_check;
alter table remote_server add constraint remote_server_auth_check
  check (auth in ('none', 'shared_header', 'user_header', 'oauth'));
-- What was discovered, without secrets; of oauth. The client is in mcp_app.
alter table remote_server add column oauth jsonb;
alter table remote_server add constraint remote_server_oauth_known check ((auth = 'oauth') = (oauth is not null));
