-- Sends one request over and over, each time with an id that was never used before and with the next key.
-- usage: wrk ... -s load.lua URL -- METHOD [BODY_FILE [KEYS_FILE]]     headers by wrk's -H
-- In the body, or in the path, @ID@ stands for the id. The result is one line of JSON. With PACE_MS in the environment each connection
-- waits that long before a request, on average.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("first_id", threads * 1000000000)
end

local pace = tonumber(os.getenv("PACE_MS") or 0)
if pace > 0 then
  function delay() return math.random(0, 2 * pace) end
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

-- Requests are made once, around an id of ten digits, so that sending one costs two concatenations.
local function split_at_id(body)
  local path = wrk.path
  if not (path .. (body or "")):find("@ID@", 1, true) then return {wrk.format(nil, nil, nil, body)} end
  local mark = "9999999999"
  local text = wrk.format(nil, (path:gsub("@ID@", mark)), nil, body and (body:gsub("@ID@", mark)))
  local from, to = text:find(mark, 1, true)
  return {text:sub(1, from - 1), text:sub(to + 1)}
end

function init(args)
  wrk.method = args[1]
  local body = args[2] and read(args[2])
  requests, turn, id = {}, 0, first_id
  if args[3] then
    for key in read(args[3]):gmatch("%S+") do
      wrk.headers["Authorization"] = "Bearer " .. key
      requests[#requests + 1] = split_at_id(body)
    end
  else
    requests[1] = split_at_id(body)
  end
end

function request()
  turn = turn % #requests + 1
  local parts = requests[turn]
  if not parts[2] then return parts[1] end
  id = id + 1
  return parts[1] .. string.format("%d", id) .. parts[2]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"micros":%d,"bytes":%d,"failed":%d,"bad_status":%d,"p50":%d,"p90":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, summary.bytes, errors.connect + errors.read + errors.write + errors.timeout,
    errors.status, latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
