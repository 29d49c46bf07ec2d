#pragma once
// The command line: assistiv serve | migrate | admin ... | config ... | version.

namespace assistiv::api {

// Gives the process's exit status: 0 done, 1 failed, 2 used wrongly.
int run_command_line(int argc, char** argv);

}  // namespace assistiv::api
