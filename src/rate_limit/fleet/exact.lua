-- KEYS: one counter for each rate. ARGV: for each demand the number of its rates, cost, count all (0 or 1), dry run, sliding;
-- then the limit and the unit of each rate. Answers now in ms, then start, current and previous before the request and whether
-- it fits in, for each rate.
local demands, reply, at, number, refused = {}, { now_ms }, 1, 0, false
while at <= #ARGV do
  local demand = {
    cost = tonumber(ARGV[at + 1]), all = ARGV[at + 2] == '1', dry_run = ARGV[at + 3] == '1',
    sliding = tonumber(ARGV[at + 4]), passes = true, rates = {},
  }
  local rates = tonumber(ARGV[at])
  at = at + 5
  for _ = 1, rates do
    number = number + 1
    local rate = { key = KEYS[number], limit = tonumber(ARGV[at]), unit = ARGV[at + 1] }
    at = at + 2
    rate.start, rate.finish, rate.current, rate.previous, rate.sliding =
      read(rate.key, rate.unit, now)
    local carried = 0
    if demand.sliding == 1 and rate.previous > 0 then
      local left, length = rate.finish * 1000 - now_ms, (rate.finish - rate.start) * 1000
      carried = math.ceil(rate.previous * math.min(left, length) / length)
    end
    local remaining = math.max(rate.limit - rate.current - carried, 0)
    local passes = demand.cost <= remaining
    if not passes then demand.passes = false end
    reply[#reply + 1] = rate.start
    reply[#reply + 1] = rate.current
    reply[#reply + 1] = rate.previous
    reply[#reply + 1] = passes and 1 or 0
    demand.rates[#demand.rates + 1] = rate
  end
  if not demand.passes and not demand.dry_run then refused = true end
  demands[#demands + 1] = demand
end

-- A counter that two demands share is charged once, with the larger cost.
local charged = {}
for _, demand in ipairs(demands) do
  if demand.cost > 0 and (demand.all or (demand.passes and not refused)) then
    for _, rate in ipairs(demand.rates) do
      if demand.cost > (charged[rate.key] or 0) then
        charged[rate.key] = demand.cost
        local sliding = math.max(rate.sliding, demand.sliding)
        write(rate.key, rate.unit, now, rate.start, rate.finish, rate.current + demand.cost,
          rate.previous, sliding)
      end
    end
  end
end
return reply
