#include "api/commands/command_world.h"

#include <filesystem>

#include "storage/migrator.h"

namespace assistiv::api {

CommandDatabase::CommandDatabase(const Config& config) {
  std::string url = config.database_url;
  if (url.empty()) {
    const std::string directory = config.data_dir + "/postgres";
    if (const auto running = storage::running_private_postgres(directory)) {
      url = *running;
    } else {
      std::filesystem::create_directories(config.data_dir);
      storage::PrivatePostgresOptions options;
      options.directory = directory;
      options.os_user = config.postgres_user;
      own_ = std::make_unique<storage::PrivatePostgres>(options);
      url = own_->url();
    }
  }
  database_ = std::make_unique<storage::Database>(storage::DatabaseOptions{.url = url, .connections = 2});
}

CommandWorld::CommandWorld(const Config& config) : database(config) {
  storage::Migrator(*database).apply();
}

}  // namespace assistiv::api
