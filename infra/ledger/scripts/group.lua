-- group: attempts that failed are counted in their groups: same handler, same error, same place in the code.
-- One script, because there are so many groups at the most: the one that was quiet for longest makes room.
--
-- ARGV  1 most groups; then for each 5 values:
--       group · how many attempts · how many of them were given up · job of the last · what they have in common (JSON)
-- Reply 1

local function of(record)
  return string.match(record or '', '^(%d+) (%d+) (%d+) (%d+) (%d+) ')
end

local function make_room()
  if put('HLEN', K.failures) < tonumber(ARGV[1]) then return end
  local quietest, since
  local kept = redis.call('HGETALL', K.failures)
  for place = 1, #kept, 2 do
    local last = tonumber(select(4, of(kept[place + 1])) or 0)
    if not since or last < since then quietest, since = kept[place], last end
  end
  redis.call('HDEL', K.failures, quietest)
end

for first = 2, #ARGV, 5 do
  local group, attempts, given_up, job, common = unpack(ARGV, first, first + 4)
  local before, gone, began, _, ended = of(fields(K.failures, group)[1])
  if not before then make_room() end
  redis.call('HSET', K.failures, group, table.concat({
    whole(natural(before, 0) + tonumber(attempts)), whole(natural(gone, 0) + tonumber(given_up)),
    began or whole(now), whole(now), given_up ~= '0' and whole(now) or ended or '0', job, common}, ' '))
end
return 1
