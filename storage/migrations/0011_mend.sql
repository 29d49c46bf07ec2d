-- Links that can be handed out again, who made a link, and that a flow was tried from another browser.

-- The link's token is an HMAC over this; null: a link that was made for one caller only.
alter table connect_link add column nonce text;
alter table connect_link add column created_by uuid;   -- the key
create index connect_link_live on connect_link (platform_id, end_user_id, app)
  where nonce is not null and consumed_at is null;

alter table connect_flow add column created_by uuid;   -- the key that made its link
alter table connect_flow add column refused_at timestamptz;  -- the first callback from another browser
