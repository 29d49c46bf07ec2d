-- What calls cost and how many may be made (billing/): dated prices, rate limits, and the shares of them that nodes hold.

-- The operator's, one for all tenants. A row is never changed, because usage rows name it: a correction supersedes it.
create table price (
  price_id uuid primary key,
  provider text not null,
  model text not null,                -- a "*" at its end stands for any rest
  valid_from timestamptz not null,
  rates jsonb not null check (jsonb_typeof(rates) = 'object'),    -- decimal text: USD per million, "request" per request
  tiers jsonb not null default '[]' check (jsonb_typeof(tiers) = 'array'),
  source text not null,
  checksum text not null,             -- SHA-256 of rates and tiers
  created_at timestamptz not null,
  superseded_at timestamptz
);
create unique index price_in_force on price (provider, model, valid_from) where superseded_at is null;
create index price_by_source on price (source, provider, model) where superseded_at is null;

-- Of the platform as a whole ('platform'), of each end user without an own one ('default'), of one end user ('end_user').
-- Null is no limit.
create table rate_limit (
  platform_id uuid not null references platform on delete cascade,
  subject text not null check (subject in ('platform', 'default', 'end_user')),
  end_user_id uuid,
  end_user_slot uuid not null
    generated always as (coalesce(end_user_id, '00000000-0000-0000-0000-000000000000'::uuid)) stored,
  rpm bigint check (rpm >= 0),
  tpm bigint check (tpm >= 0),
  rpd bigint check (rpd >= 0),
  concurrency bigint check (concurrency >= 0),
  updated_at timestamptz not null,
  primary key (platform_id, subject, end_user_slot),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade,
  check ((subject = 'end_user') = (end_user_id is not null))
);
select assistiv_protect('rate_limit');

-- What a node may use of one window without asking. Requests and tokens that were used stay in it until the window ends,
-- whatever becomes of the node; places for calls at one time (window 0) end when their node stops renewing them.
create table rate_lease (
  platform_id uuid not null references platform on delete cascade,
  subject uuid not null,              -- the end user, or the platform itself
  dimension text not null check (dimension in ('rpm', 'tpm', 'rpd', 'concurrency')),
  window_start bigint not null,       -- epoch milliseconds; 0 for concurrency
  node uuid not null,
  amount bigint not null check (amount >= 0),
  expires_at timestamptz not null,
  primary key (platform_id, subject, dimension, window_start, node)
) with (fillfactor = 50);
create index rate_lease_by_expiry on rate_lease (expires_at);
select assistiv_protect('rate_lease');

-- Takes from every window of `items` or from none: at least "need", more ("want") while a quarter of what is free is more
-- than that. items: [{"s": subject, "d": dimension, "w": window_start, "l": limit, "need": n, "want": n, "x": expiry in
-- epoch ms, for concurrency 0: half a minute from now}]. Gives per item what was granted, what the node then holds, and what
-- is free after it.
create function assistiv_rate_take(p uuid, n uuid, items jsonb)
  returns table (place integer, granted bigint, held bigint, free bigint) language plpgsql as $$
#variable_conflict use_column
declare
  item record;
  frees bigint[] := '{}';
  own bigint[] := '{}';
  is_own bigint;
  is_free bigint;
  enough boolean := true;
  gets bigint;
begin
  -- One order of locks for everybody.
  for item in select distinct e->>'s' as s from jsonb_array_elements(items) e order by 1 loop
    perform pg_advisory_xact_lock(hashtextextended('rate ' || p::text || item.s, 0));
  end loop;
  for item in select i.* from jsonb_to_recordset(items) as i(s uuid, d text, w bigint, l bigint, need bigint) loop
    select item.l - coalesce(sum(r.amount), 0), coalesce(sum(r.amount) filter (where r.node = n), 0)
      into is_free, is_own from rate_lease r
      where r.platform_id = p and r.subject = item.s and r.dimension = item.d and r.window_start = item.w
        and (item.w <> 0 or r.expires_at > clock_timestamp());
    frees := frees || is_free;
    own := own || is_own;
    enough := enough and is_free >= item.need;
  end loop;
  place := 0;
  for item in
    select i.* from jsonb_to_recordset(items) as i(s uuid, d text, w bigint, need bigint, want bigint, x bigint)
  loop
    place := place + 1;
    gets := 0;
    held := own[place];
    if enough then
      gets := least(frees[place], greatest(item.need, least(item.want, frees[place] / 4)));
      insert into rate_lease as r (platform_id, subject, dimension, window_start, node, amount, expires_at)
        values (p, item.s, item.d, item.w, n, gets,
                case item.w when 0 then clock_timestamp() + interval '30 seconds' else assistiv_time(item.x) end)
        on conflict (platform_id, subject, dimension, window_start, node) do update set
          amount = excluded.amount
            + case when item.w <> 0 or r.expires_at > clock_timestamp() then r.amount else 0 end,
          expires_at = excluded.expires_at
        returning r.amount into held;
    end if;
    granted := gets;
    free := frees[place] - gets;
    return next;
  end loop;
end $$;
