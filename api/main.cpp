#include "api/commands/commands.h"

int main(int argc, char** argv) {
  return assistiv::api::run_command_line(argc, argv);
}
