-- archiving: one of all archives, or erases, for as long as it says; and how that went, for `doctor` and `/metrics`.
-- One script, because two must not both find that it is theirs.
--
-- ARGV  1 who · 2 for how long, in ms; 0: it is over · 3 how long it is remembered that there is an archive, in ms
--       4 'done' | 'failed' | 'erases', whereby nothing is said of an archive | 'renews', the same, where nobody else has had it
--         since it was theirs | '' · 5 why it failed, in words
-- Reply 1 where it is theirs; 0 where it is another's, and nothing was changed

local DAY = 86400000   -- nobody holds it for longer: what says so is garbage
local holder, till = unpack(fields(K.archive, 'holder', 'until'), 1, 2)
till = tonumber(till or '') or 0
if ARGV[4] == 'renews' then
  if holder ~= ARGV[1] then return 0 end
elseif holder and holder ~= ARGV[1] and till > now and till < now + DAY then
  return 0
end
put('HSET', K.archive, 'holder', ARGV[1], 'until', whole(now + tonumber(ARGV[2])))
if ARGV[4] ~= 'erases' and ARGV[4] ~= 'renews' then put('HSET', K.archive, 'wanted', '1') end
if ARGV[4] == 'done' then
  put('HSET', K.archive, 'done', whole(now))
  put('HDEL', K.archive, 'failing', 'error')
elseif ARGV[4] == 'failed' then
  put('HSETNX', K.archive, 'failing', whole(now))
  put('HSET', K.archive, 'error', ARGV[5])
end
redis.call('PEXPIRE', K.archive, ARGV[3])
return 1
