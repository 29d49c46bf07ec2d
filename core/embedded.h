#pragma once
// Files compiled into the binary (cmake/embed.py). Each folder is declared here, next to the module that owns
// it.
#include <span>
#include <string_view>

namespace assistiv::core {

struct EmbeddedFile {
  std::string_view path;  // relative to the embedded folder
  std::string_view content;
};

}  // namespace assistiv::core

namespace assistiv::storage {
std::span<const core::EmbeddedFile> embedded_migrations();
}
namespace assistiv::billing {
std::span<const core::EmbeddedFile> embedded_prices();
}
namespace assistiv::mcp {
std::span<const core::EmbeddedFile> embedded_manifests();
}
namespace assistiv::inference {
std::span<const core::EmbeddedFile> embedded_catalogue();
}
namespace assistiv::agents {
std::span<const core::EmbeddedFile> embedded_schema();
}
namespace assistiv::api {
std::span<const core::EmbeddedFile> embedded_assets();
std::span<const core::EmbeddedFile> embedded_components();
}  // namespace assistiv::api
