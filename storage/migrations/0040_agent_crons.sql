-- Schedules of agents' runs. The run of a slot names it (agent_run_slot): a slot fires once, whoever fires it.
create table agent_cron (
  platform_id uuid not null references platform on delete cascade,
  cron_id uuid not null,
  end_user_id uuid,
  thread_id uuid,  -- null: a thread of its own for each run
  assistant_id uuid not null,
  schedule text not null,
  zone text not null default 'UTC',
  payload text not null,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  is_enabled boolean not null default true,
  keep_thread boolean not null default false,  -- on_run_completed "keep"
  end_time timestamptz,
  next_run_at timestamptz,  -- null: never again
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (platform_id, cron_id),
  foreign key (platform_id, end_user_id) references end_user (platform_id, end_user_id) on delete cascade,
  foreign key (platform_id, thread_id) references agent_thread (platform_id, thread_id) on delete cascade
);
create index agent_cron_due on agent_cron (next_run_at) where is_enabled and next_run_at is not null;
create index agent_cron_by_user on agent_cron (platform_id, end_user_id);
create index agent_cron_by_thread on agent_cron (platform_id, thread_id) where thread_id is not null;
create index agent_cron_metadata on agent_cron using gin (metadata jsonb_path_ops);
select assistiv_protect('agent_cron');

-- When wall clocks of a zone show the given times. `again` is set where clocks were put back and show it twice; where
-- they were put forward and never show it, is_skipped is set and `at` is as long after the change as the time was.
create function assistiv_instants(walls timestamp[], zone text)
  returns table (wall timestamp, at timestamptz, again timestamptz, is_skipped boolean)
  language sql stable strict as $$
  with offsets as (
    select w, w at time zone 'UTC' as utc,
      ((w at time zone 'UTC' - interval '1 day') at time zone zone) - (w - interval '1 day') as before,
      ((w at time zone 'UTC' + interval '1 day') at time zone zone) - (w + interval '1 day') as after
    from unnest(walls) as u(w)
  ), candidates as (
    select w, utc - before as first, utc - after as second,
      ((utc - before) at time zone zone) = w as first_is, ((utc - after) at time zone zone) = w as second_is
    from offsets
  )
  select w, case when second_is and not first_is then second else first end,
    case when first_is and second_is and second <> first then second end,
    not first_is and not second_is
  from candidates
$$;
