-- Sends what a file says, read again each second, and counts which answer each kind of call got.
--
-- A line of the file is a kind and the call's Authorization values, separated by tabs. The app
-- sends the kind back in a header, so that the answers of many connections need no matching.

local OPEN = "open"

local file
local calls = {}
local read_at = 0
tally = {}

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local function built(line)
  local kind, values = line:match("^([^\t]*)\t?(.*)$")
  local head = kind == OPEN and "GET /health HTTP/1.1" or "POST /notify HTTP/1.1"
  local lines = { head, "Host: soak", "X-Soak: " .. kind, "Content-Length: 0" }
  for value in values:gmatch("[^\t]+") do
    table.insert(lines, "Authorization: " .. value)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function read(now)
  local found = {}
  for line in io.lines(file) do
    table.insert(found, built(line))
  end
  calls, read_at = found, now
end

function init(arguments)
  file = arguments[1]
  math.randomseed(os.time())
  read(os.time())
end

function request()
  local now = os.time()
  if now ~= read_at then
    read(now)
  end
  return calls[math.random(#calls)]
end

function response(status, headers, body)
  local name = (headers["x-soak"] or "unmarked") .. "\t" .. status
  tally[name] = (tally[name] or 0) + 1
end

function done(summary, latency, requests)
  for _, thread in ipairs(threads) do
    for name, count in pairs(thread:get("tally")) do
      print("tally\t" .. name .. "\t" .. count)
    end
  end
  for _, name in ipairs({ "connect", "read", "write", "timeout" }) do
    print("errors\t" .. name .. "\t0\t" .. summary.errors[name])
  end
end
