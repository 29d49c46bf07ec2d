#include "agents/store/reply_page_store.h"

namespace assistiv::agents {

std::string fitting_rows(const std::string& rows, const std::string& bytes) {
  return "select p.* from (select s.*, row_number() over () as page_row, sum(" + bytes +
         ") over (rows unbounded preceding) as page_bytes, count(*) over () as page_found from (" + rows +
         ") s) p where p.page_row = 1 or p.page_bytes <= " + std::to_string(kReplyBytesMax) +
         " order by p.page_row";
}

}  // namespace assistiv::agents
