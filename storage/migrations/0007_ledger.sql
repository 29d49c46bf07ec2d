-- Money (billing/): accounts, what nodes have leased of them, every fact that moved one, and one row per upstream call.
-- Amounts are nano-USD. How they fit together: docs/decisions/0014-leased-allowances.md.

-- A platform's wallet, or an end user's budget, which caps USD, tokens or both. What may still be leased is
-- amount_limit - settled - leased. For a wallet amount_limit is all that was ever paid in.
create table account (
  platform_id uuid not null references platform on delete cascade,
  account_id uuid not null,
  kind text not null check (kind in ('wallet', 'budget')),
  end_user_id uuid,
  amount_limit bigint check (amount_limit >= 0),         -- null: no cap in USD
  settled bigint not null default 0 check (settled >= 0),
  leased bigint not null default 0 check (leased >= 0),
  token_limit bigint check (token_limit >= 0),           -- null: no cap in tokens
  tokens_settled bigint not null default 0 check (tokens_settled >= 0),
  tokens_leased bigint not null default 0 check (tokens_leased >= 0),
  period text not null default 'one_time' check (period in ('one_time', 'daily', 'monthly')),
  period_no bigint not null default 0,                   -- counts roll-overs; leases and entries name it
  period_start timestamptz not null,
  period_end timestamptz,                                -- null: one_time
  auto_replenish boolean not null default false,
  replenish_amount bigint check (replenish_amount >= 0),
  low_balance_threshold bigint check (low_balance_threshold >= 0),
  low_balance_armed boolean not null default true,
  is_suspended boolean not null default false,
  version bigint not null default 1,                     -- of what a patch, a top-up or a roll-over changed
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (platform_id, account_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade,
  check ((kind = 'wallet') = (end_user_id is null)),
  check (case kind when 'wallet' then amount_limit is not null and token_limit is null
         else amount_limit is not null or token_limit is not null end),
  check ((period = 'one_time') = (period_end is null)),
  check (not auto_replenish or replenish_amount is not null)
) with (fillfactor = 50);
create unique index account_wallet on account (platform_id) where kind = 'wallet';
create unique index account_budget on account (platform_id, end_user_id) where kind = 'budget';
select assistiv_protect('account');

-- settled + leased <= limit, whoever writes. A limit may be lowered below what is spent or leased; then nothing may be
-- added, so it cannot be a plain check.
create function assistiv_account_overrun() returns trigger language plpgsql as $$
begin
  raise exception 'account % would exceed its limit', new.account_id using errcode = 'check_violation';
end $$;
create trigger within_limit before update on account for each row
  when ((new.settled + new.leased > new.amount_limit and new.settled + new.leased > old.settled + old.leased)
     or (new.tokens_settled + new.tokens_leased > new.token_limit
         and new.tokens_settled + new.tokens_leased > old.tokens_settled + old.tokens_leased))
  execute function assistiv_account_overrun();
create trigger within_limit_at_first before insert on account for each row
  when (new.settled + new.leased > new.amount_limit or new.tokens_settled + new.tokens_leased > new.token_limit)
  execute function assistiv_account_overrun();

-- One life of one server process. Times are the database's own: nodes' clocks differ. An epoch that is not 'live' writes
-- nothing any more.
create table ledger_node (
  epoch bigint generated always as identity primary key,
  journal_id uuid not null,
  state text not null check (state in ('live', 'fenced', 'closed')),
  started_at timestamptz not null,
  heartbeat_at timestamptz not null,
  expires_at timestamptz not null
);
create index ledger_node_by_expiry on ledger_node (expires_at) where state <> 'closed';
create index ledger_node_by_journal on ledger_node (journal_id) where state <> 'closed';
-- No tenant owns these: only the system's own transactions see them.
alter table ledger_node enable row level security;
alter table ledger_node force row level security;
create policy system_only on ledger_node using ((select current_setting('assistiv.system', true)) = 'on');

-- What an epoch may spend of an account without asking. It ends with its epoch (ledger_node.expires_at). A lease of a
-- period that is over counts in that period, not in account.leased.
create table account_lease (
  platform_id uuid not null,
  account_id uuid not null,
  epoch bigint not null references ledger_node,
  period_no bigint not null,
  amount bigint not null check (amount >= 0),
  tokens bigint not null check (tokens >= 0),
  updated_at timestamptz not null,
  primary key (platform_id, account_id, epoch, period_no),
  foreign key (platform_id, account_id) references account on delete cascade
) with (fillfactor = 50);
create index account_lease_by_epoch on account_lease (epoch);
select assistiv_protect('account_lease');

-- Every fact that moved money: `amount` (and `tokens`) went from `debit` to `credit`. The sides of an account are
-- 'allowance' (what it may spend) and 'spent'; 'external' is the world, 'leased' a lost node's hands, 'operator' the one
-- who bears what no account could pay. amount_limit = external->allowance - allowance->external;
-- settled = allowance->spent of the account's period. The calls of one settlement batch are one entry per account.
create table ledger_entry (
  platform_id uuid not null,
  account_id uuid not null,
  seq bigint generated always as identity,
  entry_id uuid not null,
  period_no bigint not null,
  type text not null check (type in ('opening', 'top_up', 'adjustment', 'replenish', 'debit', 'llm_usage', 'mcp_usage',
    'agent_usage', 'refund', 'suspended', 'unsuspended', 'reconcile', 'write_off')),
  debit text not null check (debit in ('external', 'allowance', 'leased', 'operator')),
  credit text not null check (credit in ('external', 'allowance', 'spent')),
  amount bigint not null check (amount >= 0),
  tokens bigint not null default 0 check (tokens >= 0),
  calls integer not null default 0,
  batch bigint,                                          -- usage_row.batch of the calls
  limit_after bigint,
  settled_after bigint not null,
  token_limit_after bigint,
  tokens_settled_after bigint not null,
  description text not null default '',
  reason text,
  metadata jsonb,
  idempotency_key text,
  request_sha256 text,                                   -- of what came with that key
  created_at timestamptz not null,
  primary key (platform_id, account_id, seq)
);
create unique index ledger_entry_once on ledger_entry (platform_id, idempotency_key) where idempotency_key is not null;
select assistiv_protect('ledger_entry');

-- One upstream call (one attempt of a request). No foreign keys: a check per row costs more than the row; the wallet
-- stands for the platform. There is no index by model: the one by time serves it, and every index costs each call.
create table usage_row (
  platform_id uuid not null,
  request_id text not null,
  attempt integer not null,
  created_at timestamptz not null,                       -- of the admission
  end_user_id uuid,
  budget_id uuid,                                        -- account that paid beside the wallet
  key_id text,
  run_id text,
  tag text,
  request_type text not null,
  provider text not null,
  model text not null,
  provider_model text not null,
  stream boolean not null,
  outcome text not null,
  status integer not null,
  error text,
  upstream_request_id text,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_write_5m_tokens bigint,
  cache_write_1h_tokens bigint,
  input_audio_tokens bigint,
  input_image_tokens bigint,
  reasoning_tokens bigint,
  output_audio_tokens bigint,
  output_image_tokens bigint,
  usage_estimated boolean not null,
  price_id text,
  cost bigint not null check (cost >= 0),                -- what the wallet paid
  unbilled bigint not null default 0 check (unbilled >= 0),  -- what it could not pay any more (entry 'write_off')
  latency_ms integer not null,
  first_token_ms integer,
  epoch bigint not null,                                 -- with hold_seq: which hold this is the end of
  hold_seq bigint not null,
  batch bigint not null,                                 -- ledger_entry.batch
  primary key (platform_id, request_id, attempt)
);
create index usage_row_by_time on usage_row (platform_id, created_at);
create index usage_row_by_end_user on usage_row (platform_id, end_user_id, created_at) where end_user_id is not null;
create index usage_row_by_tag on usage_row (platform_id, tag, created_at) where tag is not null;
select assistiv_protect('usage_row');
create sequence ledger_batch;

create function assistiv_ledger_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only: % on %', lower(tg_op), tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or truncate on ledger_entry
  for each statement execute function assistiv_ledger_refuse();
create trigger append_only before update or truncate on usage_row
  for each statement execute function assistiv_ledger_refuse();

-- Entries and usage may be deleted when their wallet is gone, and a wallet when its platform is gone.
create function assistiv_ledger_deleted() returns trigger language plpgsql as $$
begin
  if exists (select from (select distinct platform_id from gone) g join account using (platform_id)
             where account.kind = 'wallet') then
    raise exception 'the ledger is append-only: delete on %', tg_table_name using errcode = 'restrict_violation';
  end if;
  return null;
end $$;
create trigger with_its_wallet after delete on ledger_entry referencing old table as gone
  for each statement execute function assistiv_ledger_deleted();
create trigger with_its_wallet after delete on usage_row referencing old table as gone
  for each statement execute function assistiv_ledger_deleted();

create function assistiv_wallet_deleted() returns trigger language plpgsql as $$
begin
  if exists (select from platform where platform_id = old.platform_id) then
    raise exception 'the wallet goes with its platform' using errcode = 'restrict_violation';
  end if;
  delete from ledger_entry where platform_id = old.platform_id;
  delete from usage_row where platform_id = old.platform_id;
  return null;
end $$;
create trigger with_its_platform after delete on account
  for each row when (old.kind = 'wallet') execute function assistiv_wallet_deleted();
