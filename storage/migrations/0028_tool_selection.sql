-- What a legacy MCP session works with: the selection that its initialize asked for (mcp/tools/tool_selection.h), '' for
-- everything.

alter table mcp_session add column tool_selection text not null default '';
