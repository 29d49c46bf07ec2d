#pragma once
// A unix-socket proxy between the program and PostgreSQL that breaks on purpose.
#include <memory>
#include <string>

namespace assistiv::test {

enum class Cut {
  BeforeServer,  // the statement never gets there
  AfterServer,   // the server has carried it out, its answer is lost
};

class DatabaseGate {
 public:
  // `url` is a private cluster's ("host=<socket directory> port=5432 ...").
  explicit DatabaseGate(const std::string& url);
  ~DatabaseGate();
  DatabaseGate(const DatabaseGate&) = delete;
  DatabaseGate& operator=(const DatabaseGate&) = delete;

  // The same database through the gate.
  const std::string& url() const;
  // The next message of a client that contains `text` cuts its connection; then the gate works as before.
  void cut_once(const std::string& text, Cut cut);
  // Ends all connections and refuses new ones until open() is called.
  void close();
  void open();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assistiv::test
