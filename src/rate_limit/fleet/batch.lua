-- KEYS: one counter for each delta. ARGV: unit, sliding, start of the window that the delta was counted in, delta.
-- Answers start, current and previous of each counter after it.
local reply = {}
for number, key in ipairs(KEYS) do
  local at = number * 4 - 3
  local unit, sliding = ARGV[at], tonumber(ARGV[at + 1])
  local counted, delta = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local start, finish, current, previous, kept = read(key, unit, now)
  if counted == start then
    current = current + delta
  elseif counted > start and counted <= now + 5 then
    -- The sender's clock is a little ahead: its window is the newer one.
    previous, current, start = current, delta, counted
    local _, counted_finish = window(unit, counted)
    finish = counted_finish
  else
    local _, counted_finish = window(unit, counted)
    if counted_finish == start then previous = previous + delta end
  end
  write(key, unit, now, start, finish, current, previous, max(kept, sliding))
  reply[#reply + 1] = start
  reply[#reply + 1] = current
  reply[#reply + 1] = previous
end
return reply
