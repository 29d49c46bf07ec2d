#pragma once

namespace assistiv::api {
inline constexpr char kVersion[] = "0.1.0";
}
