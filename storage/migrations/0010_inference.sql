-- Model providers, models and what platforms configured of them (inference/providers), stored responses
-- (inference/responses).

-- The catalogue is the server's, not a tenant's: rows of the program's own are written at every start, rows that the
-- operator made or changed stay as they are.
create table llm_provider (
  provider_id    uuid primary key,
  slug           text not null unique,
  title          text not null,
  dialect        text not null check (dialect in ('openai.chat', 'openai.responses', 'anthropic', 'gemini')),
  flavor         text not null check (flavor in ('openai', 'xai', 'anthropic', 'google', 'compatible')),
  base_url       text,                      -- null: each configuration names its own
  local          boolean not null,          -- on the premises
  open_models    boolean not null,          -- any model name is passed through
  stream_options boolean not null,          -- accepts OpenAI's stream_options
  is_active      boolean not null,
  source         text not null check (source in ('builtin', 'operator')),
  created_at     timestamptz not null,
  updated_at     timestamptz not null
);

create table llm_model (
  model_id          uuid primary key,
  provider_id       uuid not null references llm_provider on delete cascade,
  slug              text not null,          -- as callers name it; several providers may offer it
  provider_model    text not null,
  context_tokens    bigint,
  max_output_tokens bigint,
  capabilities      jsonb not null,
  aliases           jsonb not null,
  fallbacks         jsonb not null,         -- slugs
  priority          integer not null,       -- among the providers of one slug; the lower number goes first
  is_active         boolean not null,
  source            text not null check (source in ('builtin', 'operator')),
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  unique (slug, provider_id)
);
create index llm_model_by_provider on llm_model (provider_id);

create table llm_config (
  platform_id uuid not null references platform on delete cascade,
  config_id   uuid not null,
  provider_id uuid not null references llm_provider,
  name        text,
  api_key     text,                         -- sealed; null: the server wants none
  key_hint    text,                         -- the last four characters
  base_url    text,                         -- null: the provider's
  local       boolean not null,
  priority    integer not null,             -- the lower number goes first
  weight      integer not null,
  is_default  boolean not null,
  is_active   boolean not null,
  models      jsonb,                        -- null: every model of the provider
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  primary key (platform_id, config_id)
);
create index llm_config_by_provider on llm_config (provider_id);
create unique index llm_config_default on llm_config (platform_id, provider_id) where is_default;
select assistiv_protect('llm_config');

-- Texts, not jsonb: what a model wrote may hold an escaped NUL, and is given back as it was.
create table stored_response (
  platform_id          uuid not null references platform on delete cascade,
  response_id          text not null,
  end_user_id          uuid,                -- null: made with the platform's own key
  previous_response_id text,
  input                text not null,       -- items of this turn, a JSON array
  response             text not null,       -- as it was returned, a JSON object
  bytes                bigint not null,     -- of both texts
  created_at           timestamptz not null,
  expires_at           timestamptz not null,
  primary key (platform_id, response_id),
  foreign key (platform_id, end_user_id) references end_user on delete cascade
);
create index stored_response_by_end_user on stored_response (platform_id, end_user_id);
create index stored_response_by_age on stored_response (expires_at);
select assistiv_protect('stored_response');
