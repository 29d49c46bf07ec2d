-- What a retried write answers (billing/idempotency_store.h), and the outbox of events for platforms
-- (billing/webhook_store.h).

create table idempotency_key (
  platform_id uuid not null references platform on delete cascade,
  caller text not null check (caller in ('operator', 'platform')),  -- each kind of key has its own names
  idempotency_key text not null check (length(idempotency_key) between 1 and 255),
  fingerprint text not null,  -- SHA-256 of the method, the path and the body, hex
  status integer,             -- this and the reply are null only inside the transaction that makes them
  reply text,
  expires_at timestamptz not null,
  primary key (platform_id, caller, idempotency_key)
);
create index idempotency_key_by_expiry on idempotency_key (expires_at);
select assistiv_protect('idempotency_key');

create table webhook_endpoint (
  platform_id uuid not null references platform on delete cascade,
  endpoint_id uuid not null,
  url text not null,
  description text not null default '',
  events text[] not null check (cardinality(events) between 1 and 64),
  secret text not null,  -- sealed by the vault, as is the next
  previous_secret text,  -- signs too for a day after a rotation
  previous_until timestamptz,
  is_active boolean not null default true,
  disabled_reason text check (disabled_reason in ('platform', 'gone', 'failing')),
  failing_since timestamptz,  -- null when the last attempt was answered with 2xx, or there was none
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (platform_id, endpoint_id),
  check (is_active = (disabled_reason is null))
);
select assistiv_protect('webhook_endpoint');

-- One event that somebody subscribed to, as it is sent.
create table webhook_message (
  platform_id uuid not null references platform on delete cascade,
  message_id uuid not null,
  event_id text not null,  -- <transaction_id>:<event_type>
  event_type text not null,
  payload text not null,
  created_at timestamptz not null,
  primary key (platform_id, message_id),
  unique (platform_id, event_id)
);
create index webhook_message_by_time on webhook_message (created_at);
select assistiv_protect('webhook_message');

-- The queue: one row per message and endpoint, and one more for each replay.
create table webhook_delivery (
  platform_id uuid not null,
  delivery_id uuid not null,
  endpoint_id uuid not null,
  message_id uuid not null,
  status text not null check (status in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,  -- that were begun; each is claimed by one worker
  next_attempt_at timestamptz,          -- of a pending one; while an attempt runs, when it counts as lost
  last_status integer,
  last_error text,
  last_attempt_at timestamptz,
  created_at timestamptz not null,
  finished_at timestamptz,
  primary key (platform_id, delivery_id),
  foreign key (platform_id, endpoint_id) references webhook_endpoint on delete cascade,
  foreign key (platform_id, message_id) references webhook_message on delete cascade,
  check ((status = 'pending') = (next_attempt_at is not null))
);
create index webhook_delivery_due on webhook_delivery (next_attempt_at) where status = 'pending';
create index webhook_delivery_by_endpoint on webhook_delivery (platform_id, endpoint_id, delivery_id);
create index webhook_delivery_by_message on webhook_delivery (platform_id, message_id);
select assistiv_protect('webhook_delivery');
