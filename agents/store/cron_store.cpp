#include "agents/store/cron_store.h"

#include <utility>

#include "agents/store/reply_page_store.h"
#include "agents/store/thread_store.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Row;
using storage::Scope;
using storage::TextArray;
using storage::Transaction;

constexpr int kBatch = 256;               // times that PostgreSQL is asked about at once
constexpr WallMinute kLookBack = 3 * 60;  // no clock is put back by more
constexpr int kBatchesMax = 8;

constexpr std::string_view kSelectCron =
    "select c.platform_id, c.cron_id, c.end_user_id, c.thread_id, c.assistant_id, c.schedule, c.zone, "
    "c.payload, "
    "c.metadata, c.is_enabled, c.keep_thread, assistiv_ms(c.end_time) as end_ms, assistiv_ms(c.next_run_at) "
    "as next_ms, "
    "c.key_id, c.last_error, assistiv_ms(c.created_at) as created_ms, assistiv_ms(c.updated_at) as "
    "updated_ms from "
    "agent_cron c";
constexpr std::string_view kCronReached =
    " where c.platform_id = $1::uuid and ($2::uuid is null or c.end_user_id = $2::uuid) ";

std::vector<Param> cron_reach(const Reach& reach) {
  return {reach.platform.str(), reach.end_user ? Param(reach.end_user->str()) : Param()};
}

Cron read_cron(const Row& row) {
  Cron out;
  out.id = row.id<CronId>("cron_id");
  out.platform = row.id<core::PlatformId>("platform_id");
  out.end_user = row.optional_id<core::EndUserId>("end_user_id");
  out.thread = row.optional_id<ThreadId>("thread_id");
  out.assistant = core::Uuid::parse(row.text("assistant_id")).value();
  out.schedule = row.text("schedule");
  out.zone = row.text("zone");
  out.payload = core::parse_json(row.text("payload"), 512);
  out.metadata = core::parse_json(row.text("metadata"), 512);
  out.is_enabled = row.boolean("is_enabled");
  out.keep_thread = row.boolean("keep_thread");
  out.end_time = row.optional_time("end_ms");
  out.next_run_at = row.optional_time("next_ms");
  out.key = row.optional_id<core::KeyId>("key_id");
  out.last_error = row.optional_text("last_error");
  out.created_at = row.time("created_ms");
  out.updated_at = row.time("updated_ms");
  return out;
}

std::optional<Cron> find_cron(Transaction& tx, const Reach& reach, CronId id, bool lock) {
  auto params = cron_reach(reach);
  params.emplace_back(id.str());
  const auto rows = tx.exec(std::string(kSelectCron) + std::string(kCronReached) +
                                "and c.cron_id = $3::uuid" + (lock ? " for update" : ""),
                            std::move(params));
  if (rows.empty()) return {};
  return read_cron(rows[0]);
}

Cron required(std::optional<Cron> cron) {
  if (!cron) throw core::not_found("There is no such schedule.");
  return std::move(*cron);
}

void check_zone(Transaction& tx, const std::string& zone) {
  if (zone.size() > 64 || tx.exec("select 1 from pg_timezone_names where name = $1", {zone}).empty())
    throw core::bad_request("There is no such time zone: names are those of the IANA database.", "/timezone");
}

// After all that this transaction has waited for: a slot that fired meanwhile is not the next one.
core::Time database_now(Transaction& tx) {
  return tx.exec("select assistiv_ms(clock_timestamp()) as now_ms")[0].time("now_ms");
}

Param epoch_or_null(const std::optional<core::Time>& time) {
  return time ? Param(std::to_string(core::to_epoch_ms(*time))) : Param();
}

// Of a schedule that is on; nothing after its end.
std::optional<core::Time> next_of(Transaction& tx, const Cron& cron, core::Time after) {
  if (!cron.is_enabled) return {};
  auto next = next_firing(tx, CronSchedule::parse(cron.schedule), cron.zone, after);
  if (next && cron.end_time && *next > *cron.end_time) next.reset();
  return next;
}

bool has_fired(Transaction& tx, const Cron& cron, core::Time slot) {
  return !tx.exec(
                "select 1 from agent_run where platform_id = $1::uuid and cron_id = $2::uuid and cron_slot = "
                "assistiv_time($3::bigint)",
                {cron.platform.str(), cron.id.str(), std::to_string(core::to_epoch_ms(slot))})
              .empty();
}

void write_cron(Transaction& tx, const Cron& cron, bool is_new) {
  const std::vector<Param> params = {cron.platform.str(),
                                     cron.id.str(),
                                     cron.end_user ? Param(cron.end_user->str()) : Param(),
                                     cron.thread ? Param(cron.thread->str()) : Param(),
                                     cron.assistant.str(),
                                     cron.schedule,
                                     cron.zone,
                                     core::dump_json(cron.payload),
                                     core::dump_json(cron.metadata),
                                     cron.is_enabled ? "true" : "false",
                                     cron.keep_thread ? "true" : "false",
                                     epoch_or_null(cron.end_time),
                                     epoch_or_null(cron.next_run_at),
                                     cron.last_error,
                                     cron.key ? Param(cron.key->str()) : Param()};
  tx.exec(
      is_new
          ? "insert into agent_cron (platform_id, cron_id, end_user_id, thread_id, assistant_id, "
            "schedule, zone, "
            "payload, metadata, is_enabled, keep_thread, end_time, next_run_at, last_error, key_id) values "
            "($1::uuid, "
            "$2::uuid, $3::uuid, $4::uuid, $5::uuid, $6, $7, $8, assistiv_jsonb($9), $10::boolean, "
            "$11::boolean, "
            "assistiv_time($12::bigint), assistiv_time($13::bigint), $14, $15::uuid)"
          : "update agent_cron set end_user_id = $3::uuid, thread_id = $4::uuid, assistant_id = $5::uuid, "
            "schedule = $6, zone = $7, payload = $8, metadata = assistiv_jsonb($9), is_enabled = "
            "$10::boolean, "
            "keep_thread = $11::boolean, end_time = assistiv_time($12::bigint), next_run_at = "
            "assistiv_time($13::bigint), last_error = $14, key_id = $15::uuid, updated_at = now() where "
            "platform_id = "
            "$1::uuid and "
            "cron_id = $2::uuid",
      params);
}

std::string cron_where(const CronSearch& query, std::vector<Param>& params) {
  std::string out(kCronReached);
  const auto add = [&](const char* before, std::string value, const char* after) {
    params.emplace_back(std::move(value));
    out.append(before).append("$").append(std::to_string(params.size())).append(after);
  };
  if (query.assistant) add(" and c.assistant_id = ", query.assistant->str(), "::uuid");
  if (query.thread) add(" and c.thread_id = ", query.thread->str(), "::uuid");
  if (query.is_enabled) add(" and c.is_enabled = ", *query.is_enabled ? "true" : "false", "::boolean");
  if (!query.metadata.empty())
    add(" and c.metadata @> assistiv_jsonb(", core::dump_json(query.metadata), ")");
  return out;
}

std::string wall_text(WallMinute minute) {
  return core::format_time(core::from_epoch_ms(minute * 60'000)).substr(0, 19);
}

// The earliest of the instants after `after`.
std::optional<core::Time> earliest(Transaction& tx, const std::string& walls, const std::string& zone,
                                   bool every_hour, core::Time after) {
  std::optional<core::Time> out;
  const auto consider = [&](const std::optional<core::Time>& time) {
    if (time && *time > after && (!out || *time < *out)) out = time;
  };
  for (const auto row :
       tx.exec("select assistiv_ms(at) as at_ms, assistiv_ms(again) as again_ms, is_skipped from "
               "assistiv_instants($1::timestamp[], $2)",
               {walls, zone})) {
    if (every_hour && row.boolean("is_skipped")) continue;
    consider(row.optional_time("at_ms"));
    if (every_hour) consider(row.optional_time("again_ms"));
  }
  return out;
}

}  // namespace

std::optional<core::Time> next_firing(Transaction& tx, const CronSchedule& schedule, const std::string& zone,
                                      core::Time after) {
  const auto wall =
      tx.exec(
            "select floor(extract(epoch from (assistiv_time($1::bigint) at time zone $2)) / 60)::bigint "
            "as wall",
            {std::to_string(core::to_epoch_ms(after)), zone})[0]
          .integer("wall");
  auto at = wall - kLookBack;
  for (int batch = 0; batch < kBatchesMax; ++batch) {
    TextArray walls;
    int count = 0;
    while (count < kBatch) {
      const auto next = schedule.next(at);
      if (!next) break;
      at = *next;
      walls.add(wall_text(at));
      ++count;
      // Enough beyond the present: what comes later is later on every clock.
      if (at > wall + kLookBack && count > 1) break;
    }
    if (count == 0) return {};
    if (auto found = earliest(tx, walls.take(), zone, schedule.every_hour(), after)) return found;
  }
  return {};
}

CronStore::CronStore(storage::Database& database, const core::Clock& clock, core::Random& random,
                     QueueOptions queue, CronRun make_run, RunEndHook hook, OwnerCounts* counts)
    : database_(database),
      clock_(clock),
      random_(random),
      queue_(queue),
      make_run_(std::move(make_run)),
      hook_(std::move(hook)),
      counts_(counts) {}

core::Task<Cron> CronStore::create(Reach reach, NewCron input) {
  CronSchedule::parse(input.schedule);
  const auto id = CronId::make(clock_, random_);
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    check_zone(tx, input.zone);
    if (input.thread && !thread_exists(tx, reach, *input.thread))
      throw core::not_found("There is no such thread.");
    Cron cron;
    cron.id = id;
    cron.platform = reach.platform;
    cron.end_user = reach.end_user;
    cron.thread = input.thread;
    cron.assistant = input.assistant;
    cron.schedule = input.schedule;
    cron.zone = input.zone;
    cron.payload = input.payload;
    cron.metadata = input.metadata;
    cron.is_enabled = input.is_enabled;
    cron.keep_thread = input.keep_thread;
    cron.end_time = input.end_time;
    cron.key = input.key;
    cron.next_run_at = next_of(tx, cron, database_now(tx));
    write_cron(tx, cron, true);
    return required(find_cron(tx, reach, id, false));
  });
}

core::Task<Cron> CronStore::get(Reach reach, CronId id) {
  co_return required(co_await database_.run(
      Scope::tenant(reach.platform), [=](Transaction& tx) { return find_cron(tx, reach, id, false); }));
}

core::Task<Cron> CronStore::update(Reach reach, CronId id, CronPatch patch) {
  if (patch.schedule) CronSchedule::parse(*patch.schedule);
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto cron = required(find_cron(tx, reach, id, true));
    if (patch.zone) check_zone(tx, *patch.zone);
    cron.schedule = patch.schedule.value_or(cron.schedule);
    cron.zone = patch.zone.value_or(cron.zone);
    cron.payload = patch.payload.value_or(cron.payload);
    cron.metadata = patch.metadata.value_or(cron.metadata);
    cron.is_enabled = patch.is_enabled.value_or(cron.is_enabled);
    cron.keep_thread = patch.keep_thread.value_or(cron.keep_thread);
    if (patch.end_time) cron.end_time = patch.end_time;
    cron.next_run_at = next_of(tx, cron, database_now(tx));
    write_cron(tx, cron, false);
    return required(find_cron(tx, reach, id, false));
  });
}

core::Task<> CronStore::remove(Reach reach, CronId id) {
  co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    required(find_cron(tx, reach, id, true));
    tx.exec("delete from agent_cron where platform_id = $1::uuid and cron_id = $2::uuid",
            {reach.platform.str(), id.str()});
  });
}

core::Task<std::vector<Cron>> CronStore::search(Reach reach, CronSearch query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto params = cron_reach(reach);
    auto sql = std::string(kSelectCron) + cron_where(query, params);
    params.emplace_back(std::to_string(query.limit));
    params.emplace_back(std::to_string(query.offset));
    sql += " order by c.cron_id desc limit $" + std::to_string(params.size() - 1) + "::bigint offset $" +
           std::to_string(params.size()) + "::bigint";
    std::vector<Cron> out;
    const auto* bytes = "octet_length(s.payload) + octet_length(s.metadata::text)";
    for (const auto row : tx.exec(fitting_rows(sql, bytes), std::move(params))) out.push_back(read_cron(row));
    return out;
  });
}

core::Task<std::int64_t> CronStore::count(Reach reach, CronSearch query) {
  co_return co_await database_.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
    auto params = cron_reach(reach);
    const auto where = cron_where(query, params);
    return tx.exec("select count(*) as n from agent_cron c" + where, std::move(params))[0].integer("n");
  });
}

void CronStore::check_room(Transaction& tx, const Cron& cron) const {
  if (counts_ == nullptr) return;
  const Reach owner{cron.platform, cron.end_user};
  for (const auto what : {Owned::WaitingRuns, Owned::Threads}) {
    if (what == Owned::Threads && cron.thread) continue;
    if (!counts_->has_room_in(tx, owner, what)) throw too_many(what);
  }
}

CronStore::Fired CronStore::fire_one(Transaction& tx, std::optional<Due>& taken) const {
  const auto due =
      tx.exec(std::string(kSelectCron) +
              " where c.is_enabled and c.next_run_at <= now() order by c.next_run_at limit 1 for update "
              "skip locked");
  if (due.empty()) return Fired::None;
  taken = Due{due[0].id<core::PlatformId>("platform_id"), due[0].id<CronId>("cron_id")};
  auto cron = read_cron(due[0]);
  const auto slot = *cron.next_run_at;
  cron.next_run_at = next_of(tx, cron, database_now(tx));
  // The clock of the database was put back, say.
  if (has_fired(tx, cron, slot)) {
    write_cron(tx, cron, false);
    return Fired::Nothing;
  }
  cron.last_error.reset();
  auto fired = Fired::Nothing;
  std::optional<NewRun> input;
  try {
    input = make_run_(tx, cron);
  } catch (const core::Error& e) {
    if (e.kind() == core::ErrorKind::Unavailable) throw;
    cron.last_error = e.message();
  } catch (const Json::exception&) {
    cron.last_error = "The request of this schedule cannot be read.";
  }
  // Its next time comes: one schedule that cannot fire must not keep the others from it.
  if (cron.last_error) {
    write_cron(tx, cron, false);
    return Fired::Nothing;
  }
  if (!input) {
    cron.is_enabled = false;
    cron.next_run_at.reset();
    cron.last_error = "There is no such assistant any more.";
  } else {
    input->thread = cron.thread;
    input->keep_thread = cron.keep_thread;
    input->cron = CronSlot{cron.id, slot};
    try {
      check_room(tx, cron);
      create_run(tx, {cron.platform, cron.end_user}, *input, RunId::make(clock_, random_), queue_, hook_);
      fired = Fired::Run;
    } catch (const core::Error& e) {
      // "reject" on a busy thread. What the database has refused is not swallowed: the transaction is lost
      // with it, and the next statement throws.
      cron.last_error = e.message();
    }
  }
  write_cron(tx, cron, false);
  return fired;
}

core::Task<std::size_t> CronStore::fire_due(std::size_t max) {
  std::size_t fired = 0;
  for (std::size_t i = 0; i < max; ++i) {
    auto one = Fired::Nothing;
    std::optional<Due> taken;
    std::optional<std::string> fault;
    try {
      // System scope: the schedules of every platform. One transaction each, so that none takes another with
      // it.
      one = co_await database_.run(Scope::system(), [this, &taken](Transaction& tx) {
        taken.reset();
        return fire_one(tx, taken);
      });
    } catch (const core::Error& e) {
      if (e.kind() == core::ErrorKind::Unavailable || !taken) throw;
      core::log::warn("agents.schedule_not_fired",
                      {{"cron_id", taken->cron.str()}, {"error", e.message()}, {"detail", e.detail()}});
      fault = e.message();
    } catch (const std::exception& e) {
      if (!taken) throw;
      core::log::error("agents.schedule_not_fired", {{"cron_id", taken->cron.str()}, {"detail", e.what()}});
      fault = "This schedule cannot be read.";
    }
    if (fault) co_await put_off(*taken, *fault);
    if (one == Fired::None) break;
    if (one == Fired::Run) ++fired;
  }
  co_return fired;
}

// What cannot fire now is not the first in the queue for ever, and tells its owner why.
core::Task<> CronStore::put_off(Due due, std::string why) {
  bool done = false;
  try {
    // System scope, as fire_due().
    co_await database_.run(Scope::system(), [=](Transaction& tx) { delay(tx, due, why); });
    done = true;
  } catch (const core::Error& e) {
    if (e.kind() == core::ErrorKind::Unavailable) throw;
  }
  if (done) co_return;
  // It has no next time: PostgreSQL no longer knows its zone, say.
  co_await database_.run(Scope::system(), [=](Transaction& tx) {
    tx.exec(
        "update agent_cron set is_enabled = false, next_run_at = null, last_error = $3 where platform_id = "
        "$1::uuid and cron_id = $2::uuid",
        {due.platform.str(), due.cron.str(), why});
  });
}

void CronStore::delay(Transaction& tx, const Due& due, const std::string& why) {
  // Not all of the row: it may be what cannot be read.
  const auto rows = tx.exec(
      "select schedule, zone, is_enabled, assistiv_ms(end_time) as end_ms from agent_cron where platform_id "
      "= $1::uuid and cron_id = $2::uuid for update",
      {due.platform.str(), due.cron.str()});
  if (rows.empty()) return;
  Cron cron;
  cron.schedule = rows[0].text("schedule");
  cron.zone = rows[0].text("zone");
  cron.is_enabled = rows[0].boolean("is_enabled");
  cron.end_time = rows[0].optional_time("end_ms");
  tx.exec(
      "update agent_cron set next_run_at = assistiv_time($3::bigint), last_error = $4 where platform_id = "
      "$1::uuid and cron_id = $2::uuid",
      {due.platform.str(), due.cron.str(), epoch_or_null(next_of(tx, cron, database_now(tx))), why});
}

}  // namespace assistiv::agents
