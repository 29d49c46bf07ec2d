-- Whose token it was, so that an incident command can go on with what one end user has left.
alter table upstream_revocation add column end_user_id uuid;
create index upstream_revocation_by_app on upstream_revocation (app, due_at);
