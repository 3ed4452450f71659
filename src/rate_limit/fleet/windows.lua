-- Windows of the UTC calendar in seconds, and counters as "start current previous sliding".
-- The rules are those of window.rs and table.rs; Redis's own clock is the only one.
-- All of this is run for every call, and functions are made anew each time: hence few of them, and the common way first.
local format, match, floor, max = string.format, string.match, math.floor, math.max

-- The window of a month or a year. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function calendar(unit, now)
  local function days_before(year, month)
    if month <= 2 then year = year - 1 end
    local era = floor(year / 400)
    local year_of_era = year - era * 400
    local shifted = month > 2 and month - 3 or month + 9
    local day_of_year = floor((153 * shifted + 2) / 5)
    local leaps = floor(year_of_era / 4) - floor(year_of_era / 100)
    return era * 146097 + year_of_era * 365 + leaps + day_of_year - 719468
  end
  local day = floor(now / 86400) + 719468
  local era = floor(day / 146097)
  local doe = day - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local shifted = floor((5 * doy + 2) / 153)
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  if unit == 'y' then
    return days_before(year, 1) * 86400, days_before(year + 1, 1) * 86400
  end
  local next_year, next_month = year, month + 1
  if month == 12 then next_year, next_month = year + 1, 1 end
  return days_before(year, month) * 86400, days_before(next_year, next_month) * 86400
end

local function window(unit, now)
  local length
  if unit == 'm' then length = 60
  elseif unit == 'd' then length = 86400
  elseif unit == 's' then length = 1
  elseif unit == 'h' then length = 3600
  elseif unit == 'w' then
    local finish = now - (now + 259200) % 604800 + 604800
    return max(finish - 604800, 0), finish
  else
    return calendar(unit, now)
  end
  local start = now - now % length
  return start, start + length
end

-- The counter in the window of now: start, end, current, previous, sliding.
local function read(key, unit, now)
  local start, finish = window(unit, now)
  local value = redis.call('GET', key)
  if not value then return start, finish, 0, 0, 0 end
  local s, c, p, sliding = match(value, '^(%d+) (%d+) (%d+) (%d)$')
  s, c, p = tonumber(s), tonumber(c), tonumber(p)
  if s == start then return start, finish, c, p, tonumber(sliding) end
  -- A replica that was promoted may have a clock that lags a little.
  if not s or s > now + 5 then return start, finish, 0, 0, 0 end
  if s > now then
    start, finish = window(unit, s)
    if s == start then return start, finish, c, p, tonumber(sliding) end
  end
  local _, stored_finish = window(unit, s)
  return start, finish, 0, stored_finish == start and c or 0, 0
end

local function write(key, unit, now, start, finish, current, previous, sliding)
  local until_s = finish
  if sliding == 1 then
    local _, next_finish = window(unit, finish)
    until_s = next_finish
  end
  -- %d is much faster than %.0f, but a long of a small machine has 32 bits.
  local is_small = current < 2147483648 and previous < 2147483648 and start < 2147483648
  local shape = is_small and '%d %d %d %d' or '%.0f %.0f %.0f %d'
  -- As text: Redis writes numbers out with 17 digits.
  redis.call('SET', key, format(shape, start, current, previous, sliding), 'EX',
    format('%d', max(until_s - now, 1)))
end

-- Redis 5 replicates effects by default; where that is switched off it must be asked for before TIME.
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now, now_ms = tonumber(time[1]), tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)
