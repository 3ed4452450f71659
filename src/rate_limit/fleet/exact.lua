-- KEYS: one counter for each rate. ARGV: whether the request is refused elsewhere (0 or 1); for each demand the number of its
-- rates, cost, count all, dry run, sliding; then the limit and the unit of each rate. Answers now in ms, then start, current and
-- previous before the request and whether it fits in, for each rate.
local reply, finishes, kept, fits, refused = { now_ms }, {}, {}, {}, ARGV[1] == '1'
local at, rate, length = 2, 0, #ARGV
while at <= length do
  local demand, last = at, rate + ARGV[at]
  local cost, sliding, passes = tonumber(ARGV[at + 1]), ARGV[at + 4] == '1', true
  at = at + 5
  while rate < last do
    rate = rate + 1
    local start, finish, current, previous, keep = read(KEYS[rate], ARGV[at + 1], now)
    local carried = 0
    if sliding and previous > 0 then
      local left, whole = finish * 1000 - now_ms, (finish - start) * 1000
      carried = math.ceil(previous * math.min(left, whole) / whole)
    end
    local fit = 1
    if cost > max(ARGV[at] - current - carried, 0) then fit, passes = 0, false end
    local slot = rate * 4
    reply[slot - 2], reply[slot - 1], reply[slot], reply[slot + 1] = start, current, previous, fit
    finishes[rate], kept[rate] = finish, keep
    at = at + 2
  end
  if not passes and ARGV[demand + 3] == '0' then refused = true end
  fits[demand] = passes
end

-- A counter that two demands share is charged once, with the larger cost.
local charged = {}
at, rate = 2, 0
while at <= length do
  local last, cost = rate + ARGV[at], tonumber(ARGV[at + 1])
  local charges = cost > 0 and (ARGV[at + 2] == '1' or (fits[at] and not refused))
  local sliding = tonumber(ARGV[at + 4])
  at = at + 5
  while rate < last do
    rate = rate + 1
    local key, slot = KEYS[rate], rate * 4
    if charges and cost > (charged[key] or 0) then
      charged[key] = cost
      write(key, ARGV[at + 1], now, reply[slot - 2], finishes[rate], reply[slot - 1] + cost,
        reply[slot], max(kept[rate], sliding))
    end
    at = at + 2
  end
end
return reply
