-- Makes a stream's group, and the stream, where they are missing, in one step: what others add or delete meanwhile can not make the
-- group's lag wrong.
-- Entries removed by XTRIM do no harm. Those removed by XDEL make Redis call the lag of a group at 0 unknown, until max-deleted-entry-id
-- is before the first entry again. XSETID takes 0-0 as "leave it", hence 0-1. The counter of added entries keeps its value, so that the
-- lag of other groups stays what it is.
-- KEYS[1] stream, ARGV[1] group. Returns 1 when the group was made.
local function fields(list)
    local t = {}
    for i = 1, #list, 2 do
        t[list[i]] = list[i + 1]
    end
    return t
end
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err then -- else there is no such key, or XGROUP tells what is wrong with it
    for _, group in ipairs(groups) do
        if fields(group)['name'] == ARGV[1] then
            return 0
        end
    end
    local stream = fields(redis.call('XINFO', 'STREAM', KEYS[1]))
    if stream['length'] > 0 and stream['max-deleted-entry-id'] ~= '0-0' then
        redis.call('XSETID', KEYS[1], stream['last-generated-id'], 'ENTRIESADDED', stream['entries-added'], 'MAXDELETEDID', '0-1')
    end
end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
return 1
