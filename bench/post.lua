-- wrk's half of bench/alerts.py. Arguments after `--`: file with the template, alerts per body, share of repeats in
-- percent, size of the pool that is repeated, services, names, seed. Prints one JSON line at the end.

local numbered = 0

function setup(thread)
  thread:set("number", numbered)
  numbered = numbered + 1
end

local function pieces_of(text)
  local pieces, at = {}, 1
  while true do
    local first, last, hole = text:find("@(%a)@", at)
    if not first then
      pieces[#pieces + 1] = text:sub(at)
      return pieces
    end
    pieces[#pieces + 1] = text:sub(at, first - 1)
    pieces[#pieces + 1] = hole
    at = last + 1
  end
end

function init(args)
  local file = assert(io.open(args[1]))
  before, after, text = file:read("*l", "*l", "*l")
  file:close()
  pieces = pieces_of(text)
  size, repeats, pool = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  services, names, seed = tonumber(args[5]), tonumber(args[6]), args[7]
  made = 0
  headers = { ["Content-Type"] = "application/json" }
end

local function fill(out, at)
  made = made + 1
  local which, unique = made, nil
  if made % 100 < repeats then
    which = (made * 7919) % pool
    unique = "p" .. which
  else
    unique = seed .. number .. "x" .. which
  end
  local service, name = "service-" .. which % services, "PodCrashLooping" .. math.floor(which / services) % names
  for i = 1, #pieces, 2 do
    out[at] = pieces[i]
    local hole = pieces[i + 1]
    if hole then
      out[at + 1] = hole == "i" and unique or hole == "s" and service or name
    end
    at = at + 2
  end
  return at - 1
end

function request()
  local out, at = { before }, 2
  for i = 1, size do
    at = fill(out, at)
    out[at] = i < size and "," or after
    at = at + 1
  end
  return wrk.format("POST", nil, headers, table.concat(out))
end

function done(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  io.write(string.format('\n{"requests":%d,"failed":%d,"micros":%d,"p50":%d,"p99":%d}\n', summary.requests, failed,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
