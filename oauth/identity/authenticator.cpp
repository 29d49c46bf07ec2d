#include "oauth/identity/authenticator.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "oauth/identity/key_lookup.h"
#include "oauth/identity/principal_cache.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::milliseconds kLookupTimeout{15000};
constexpr std::size_t kUsesPerStatement = 500;

core::Error unauthenticated(std::string message) {
  return core::Error(core::ErrorKind::Unauthenticated, std::move(message));
}

// One text for unknown, revoked, expired and deactivated: a stranger learns nothing about a key.
core::Error invalid_key() {
  return unauthenticated("The API key is invalid, expired or revoked.");
}
core::Error invalid_token() {
  return unauthenticated(
      "The token is invalid, expired or revoked, or it is none of an end user of a platform here: its issuer "
      "and its "
      "audience must be registered, and its end user be known and active.");
}

PrincipalKind checked_kind(std::string_view bearer) {
  if (bearer.empty())
    throw unauthenticated("An API key is missing. Send the header Authorization: Bearer <key>.");
  const auto kind = kind_of_raw_key(bearer);
  if (!kind) {
    throw unauthenticated(
        "The API key is malformed. Send a key that starts with sk-plat_, sk-eu_ or sk-admin_, whole.");
  }
  return *kind;
}

PrincipalPtr principal_of(const std::optional<Credential>& credential) {
  if (!credential || !credential->key.is_active || !credential->owner_active) return nullptr;
  const auto& key = credential->key;
  return std::make_shared<const Principal>(
      Principal{.kind = key.kind,
                .key_id = key.id,
                .platform_id = key.platform_id.value_or(core::PlatformId{}),
                .end_user_id = key.end_user_id,
                .scopes = key.scopes,
                .expires_at = key.expires_at});
}

core::metrics::Counter& lookups(const char* result) {
  return core::metrics::counter("assistiv_auth_lookups_total", "Key checks by where the answer came from.",
                                {{"result", result}});
}

}  // namespace

struct Authenticator::Impl {
  Impl(storage::Database& d, const KeyStore& k, const core::Clock& c, const AuthenticatorOptions& o)
      : database(d),
        keys(k),
        clock(c),
        options(o),
        cache({o.max_entries, o.ttl, o.max_denied, o.deny_ttl}),
        hits(lookups("cache")),
        misses(lookups("database")) {}

  // The leader's end, also when its coroutine is destroyed while it waits.
  struct Lead {
    Impl* impl;
    KeyHash hash;
    std::shared_ptr<KeyLookup> lookup;
    ~Lead() {
      impl->leave(hash, lookup);
      lookup->finish(nullptr,
                     std::make_exception_ptr(core::Error(core::ErrorKind::Unavailable,
                                                         "The server is stopping. Try again shortly.")));
    }
  };

  PrincipalPtr live(const PrincipalPtr& principal, bool is_token) const {
    if (!principal || !is_live(*principal, clock.now())) throw is_token ? invalid_token() : invalid_key();
    return principal;
  }

  // The look-up to follow, or a new one to lead (second).
  std::pair<std::shared_ptr<KeyLookup>, bool> join(const KeyHash& hash) {
    std::lock_guard lock(mutex);
    auto& slot = under_way[hash];
    const bool leads = !slot;
    if (leads) slot = std::make_shared<KeyLookup>();
    return {slot, leads};
  }

  void leave(const KeyHash& hash, const std::shared_ptr<KeyLookup>& lookup) {
    std::lock_guard lock(mutex);
    const auto found = under_way.find(hash);
    if (found != under_way.end() && found->second == lookup) under_way.erase(found);
  }

  // `token` is empty for an API key.
  core::Task<PrincipalPtr> look_up(KeyHash hash, PrincipalKind kind, core::Secret token) {
    auto [lookup, leads] = join(hash);
    if (!leads) co_return co_await lookup->wait(kLookupTimeout);
    const Lead lead{this, hash, lookup};
    co_return co_await read(hash, kind, std::move(token), lookup);
  }

  core::Task<PrincipalPtr> find_key(KeyHash hash, PrincipalKind kind) {
    const auto hex = core::hex_encode({reinterpret_cast<const char*>(hash.data()), hash.size()});
    // System scope: which tenant the key belongs to is what we are about to learn.
    co_return principal_of(co_await database.run(
        storage::Scope::system(),
        [this, kind, hex](storage::Transaction& tx) { return keys.find_by_hash(tx, kind, hex); }));
  }

  core::Task<PrincipalPtr> read(KeyHash hash, PrincipalKind kind, core::Secret token,
                                std::shared_ptr<KeyLookup> lookup) {
    const auto version = cache.version(hash);
    PrincipalPtr principal;
    try {
      principal = token.empty() ? co_await find_key(hash, kind) : co_await tokens->look_up(token.reveal());
    } catch (...) {
      lookup->finish(nullptr, std::current_exception());
      throw;
    }
    misses.add();
    cache.store(hash, principal, version, clock.now());
    lookup->finish(principal, nullptr);
    co_return principal;
  }

  void forget(const KeyHash& hash) {
    cache.forget(hash);
    // Who comes later must not follow a look-up that may have read the state before the change.
    std::lock_guard lock(mutex);
    under_way.erase(hash);
  }

  void forget_if(const std::function<bool(const Principal&)>& concerned) {
    cache.forget_if(concerned);
    std::lock_guard lock(mutex);
    under_way.clear();
  }

  void record(storage::Transaction& tx, const std::vector<KeyUse>& uses) const {
    std::vector<KeyUse> of_keys, of_tokens;
    for (const auto& use : uses) (use.of_token ? of_tokens : of_keys).push_back(use);
    keys.record_uses(tx, of_keys);
    if (!of_tokens.empty() && tokens != nullptr) tokens->record_uses(tx, of_tokens);
  }

  bool is_token(std::string_view bearer) const { return tokens != nullptr && tokens->is_token(bearer); }

  core::Task<> write_uses() {
    const auto uses = cache.take_uses();
    for (std::size_t from = 0; from < uses.size(); from += kUsesPerStatement) {
      const auto to = std::min(uses.size(), from + kUsesPerStatement);
      const std::vector<KeyUse> batch(uses.begin() + static_cast<std::ptrdiff_t>(from),
                                      uses.begin() + static_cast<std::ptrdiff_t>(to));
      // System scope: the uses are of many tenants.
      co_await database.run(storage::Scope::system(),
                            [this, batch](storage::Transaction& tx) { record(tx, batch); });
    }
  }

  core::Task<> write_uses_until(std::stop_token stop) {
    while (!stop.stop_requested()) {
      co_await core::sleep_for(options.use_write_interval, stop);
      try {
        co_await write_uses();
      } catch (const core::Error& e) {
        // Lost uses only make last_used_at older than it is.
        core::log::warn("auth.uses_not_written", {{"error", e.what()}, {"detail", e.detail()}});
      }
    }
  }

  storage::Database& database;
  const KeyStore& keys;
  const core::Clock& clock;
  const AuthenticatorOptions options;
  PrincipalCache cache;
  core::metrics::Counter& hits;
  core::metrics::Counter& misses;
  std::mutex mutex;
  std::unordered_map<KeyHash, std::shared_ptr<KeyLookup>, KeyHashHash> under_way;
  TokenDoor* tokens = nullptr;
  core::TaskGroup tasks{"authenticator"};
};

Authenticator::Authenticator(storage::Database& database, const KeyStore& keys, const core::Clock& clock,
                             AuthenticatorOptions options)
    : impl_(std::make_unique<Impl>(database, keys, clock, options)) {}

Authenticator::~Authenticator() {
  stop();
}

PrincipalPtr Authenticator::cached(std::string_view bearer) {
  if (!kind_of_raw_key(bearer) && !impl_->is_token(bearer)) return nullptr;
  const auto now = impl_->clock.now();
  auto answer = impl_->cache.find(hash_of_raw_key(bearer), now);
  if (!answer.principal || !is_live(*answer.principal, now)) return nullptr;
  impl_->hits.add();
  return std::move(answer.principal);
}

void Authenticator::accept(TokenDoor& tokens) {
  impl_->tokens = &tokens;
}

core::Task<PrincipalPtr> Authenticator::authenticate(std::string bearer) {
  const core::Secret raw(std::move(bearer));
  const bool is_token = impl_->is_token(raw.reveal());
  const auto kind = is_token ? PrincipalKind::EndUser : checked_kind(raw.reveal());
  const auto hash = hash_of_raw_key(raw.reveal());
  const auto answer = impl_->cache.find(hash, impl_->clock.now());
  if (answer.known) {
    impl_->hits.add();
    co_return impl_->live(answer.principal, is_token);
  }
  co_return impl_->live(co_await impl_->look_up(hash, kind, is_token ? raw : core::Secret()), is_token);
}

core::Task<PrincipalPtr> Authenticator::standing(core::PlatformId platform, core::EndUserId end_user,
                                                 core::KeyId key) {
  const auto impl = impl_.get();
  auto principal = principal_of(co_await impl->database.run(
      storage::Scope::tenant(platform),
      [impl, platform, key](storage::Transaction& tx) { return impl->keys.find(tx, platform, key); }));
  if (!principal && impl->tokens != nullptr)
    principal = co_await impl->tokens->standing(platform, end_user, key);
  const bool good = principal && principal->end_user_id == end_user && is_live(*principal, impl->clock.now());
  co_return good ? principal : nullptr;
}

core::Task<PrincipalPtr> Authenticator::standing_any(core::PlatformId platform,
                                                     std::optional<core::EndUserId> end_user,
                                                     core::KeyId key) {
  const auto impl = impl_.get();
  const auto principal = principal_of(co_await impl->database.run(
      storage::Scope::tenant(platform),
      [impl, platform, key](storage::Transaction& tx) { return impl->keys.find(tx, platform, key); }));
  if (principal && principal->kind == PrincipalKind::Platform) {
    if (!is_live(*principal, impl->clock.now())) co_return nullptr;
    co_return end_user ? acting_for(*principal, *end_user) : principal;
  }
  if (!end_user) co_return nullptr;
  co_return co_await standing(platform, *end_user, key);
}

void Authenticator::on_notify(std::string_view topic, std::string_view payload) {
  if (topic == "key") {
    if (const auto hash = key_hash_of_hex(payload)) impl_->forget(*hash);
    // The notice does not say which key it was: all tokens that came to be with one are looked at again.
    impl_->forget_if([](const Principal& principal) { return principal.via_key.has_value(); });
  } else if (topic == "platform") {
    const auto id = core::PlatformId::parse(payload);
    if (id) impl_->forget_if([id](const Principal& principal) { return principal.platform_id == *id; });
  } else if (topic == "end_user") {
    const auto id = core::EndUserId::parse(payload.substr(std::min(payload.size(), payload.find('/') + 1)));
    if (id) impl_->forget_if([id](const Principal& principal) { return principal.end_user_id == *id; });
  } else if (topic == "resync") {
    impl_->forget_if([](const Principal&) { return true; });
  }
}

void Authenticator::start(core::AnyExecutor executor) {
  impl_->tasks.spawn(std::move(executor), "auth.uses", std::bind_front(&Impl::write_uses_until, impl_.get()));
}

void Authenticator::stop() {
  impl_->tasks.stop();
}

core::Task<> Authenticator::write_uses() {
  co_await impl_->write_uses();
}

PrincipalPtr acting_for(const Principal& platform, core::EndUserId end_user) {
  auto out = std::make_shared<Principal>(platform);
  out->kind = PrincipalKind::EndUser;
  out->end_user_id = end_user;
  if (platform.has_scope("management") && !platform.has_scope("mcp")) out->scopes.emplace_back("mcp");
  return out;
}

}  // namespace assistiv::oauth
