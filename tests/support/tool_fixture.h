#pragma once
// Two small apps with a tool of each kind, as manifests.
#include "mcp/connectors/catalog.h"

namespace assistiv::test {

// Apps "notes" (notes_get, notes_add, notes_post, notes_wipe: read, write, outbound, destructive; the scope
// "notes" for all but notes_get) and "mail" (mail_list: read).
mcp::Catalog small_catalog();

}  // namespace assistiv::test
