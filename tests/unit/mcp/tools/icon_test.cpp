#include "mcp/tools/icon.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/encoding.h"

namespace assistiv::mcp {
namespace {

std::string url_of(const std::string& type, const std::string& bytes) {
  return "data:" + type + ";base64," + core::base64_encode(bytes);
}

TEST(Icons, an_image_is_what_its_type_says) {
  const std::string png = "\x89PNG\r\n\x1a\nrest";
  EXPECT_EQ(icon_image(url_of("image/png", png))->bytes, png);
  EXPECT_EQ(icon_image(url_of("image/jpeg", "\xff\xd8\xff\xe0"))->type, "image/jpeg");
  EXPECT_EQ(icon_image(url_of(kSvgType, "<svg/>"))->type, kSvgType);
  for (const auto& src :
       {url_of("image/png", "<svg/>"), url_of(kSvgType, png), url_of("image/gif", "GIF89a"),
        url_of("text/html", "<svg/>"), url_of(kSvgType, "<svg>\xff</svg>"), std::string("data:image/png,abc"),
        std::string("data:image/png;base64,!!"), std::string("https://a.example/i.png"), std::string()}) {
    EXPECT_FALSE(icon_image(src)) << src;
  }
}

TEST(Icons, shapes_and_text_are_plain) {
  for (const char* svg :
       {"<svg/>",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox='0 0 4 4'><path d=\"M0 0L4 4Z\" /></svg>",
        "<svg>\n<g fill=\"#fff\"><text x=\"1\" text-anchor=\"middle\">G \xc3\xa4</text></g >\n</svg>\n"}) {
    EXPECT_TRUE(is_plain_svg(svg)) << svg;
  }
}

TEST(Icons, what_runs_loads_or_refers_is_not_plain) {
  for (const char* svg : {
           "<svg><script>alert(1)</script></svg>",
           "<svg onload=\"alert(1)\"/>",
           "<svg><g\tonclick='x'/></svg>",
           "<svg><a><path/></a></svg>",
           "<svg><image/></svg>",
           "<svg><use href=\"#a\"/></svg>",
           "<svg><path href=\"#a\"/></svg>",
           "<svg xmlns:xlink=\"http://www.w3.org/1999/xlink\"/>",
           "<svg xmlns=\"http://www.w3.org/1999/xhtml\"/>",
           "<svg><style>*{}</style></svg>",
           "<svg style=\"x\"/>",
           "<svg ONLOAD=\"x\"/>",
           "<svg data-x=\"x\"/>",
           "<svg><rect fill=\"url(evil.svg#a)\"/></svg>",
           "<svg><rect fill=\"url(#a) url(evil.svg)\"/></svg>",
           "<svg><rect fill=\"url(https://evil.example)\"/></svg>",
           "<svg><rect fill=\"url(//evil.example)\"/></svg>",
           "<svg><rect fill=\"url(\\2f\\2f evil.example)\"/></svg>",
           "<svg><rect fill=\"&#104;ttps\"/></svg>",
           "<svg><text>&lt;</text></svg>",
           "<!DOCTYPE svg><svg/>",
           "<?xml-stylesheet href='x'?><svg/>",
           "<svg><!-- x --></svg>",
           "<svg><foreignObject/></svg>",
           "<svg><animate/></svg>",
           "<svg><g fill=red/></svg>",
           "<svg><g fill=\"red\"onload=\"x\"/></svg>",
           "<svg><g fill=\"red/></svg>",
           "<svg><g",
           "<SVG/>",
           "svg",
           "",
       }) {
    EXPECT_FALSE(is_plain_svg(svg)) << svg;
  }
}

TEST(Icons, sizes_are_any_or_width_by_height) {
  for (const char* good : {"any", "48x48", "1x1", "1024x768"}) EXPECT_TRUE(is_icon_size(good)) << good;
  for (const char* bad : {"", "48", "x48", "48x", "048x48", "48X48", "48x48x48", "99999x1", "ANY"})
    EXPECT_FALSE(is_icon_size(bad)) << bad;
}

TEST(Icons, stand_in_a_definition_without_changing_the_rest) {
  const core::Json definition = {{"name", "a"}, {"title", "A"}};
  std::string out;
  append_with_icons(out, definition.dump(), "");
  EXPECT_EQ(out, definition.dump());
  const auto icons = icons_text({{.src = "https://a.example/i", .sizes = {"any"}, .theme = "dark"}});
  out.clear();
  append_with_icons(out, definition.dump(), icons);
  auto parsed = core::Json::parse(out);
  EXPECT_EQ(parsed, with_icons(definition, icons));
  EXPECT_EQ(parsed["icons"],
            core::Json::parse(R"([{"src":"https://a.example/i","sizes":["any"],"theme":"dark"}])"));
  parsed.erase("icons");
  EXPECT_EQ(parsed, definition);
  EXPECT_EQ(icons_text({}), "");
}

}  // namespace
}  // namespace assistiv::mcp
