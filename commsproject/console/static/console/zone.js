// The server shows times in the zone of who looks at them.
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
document.cookie = `zone=${timeZone}; path=/admin/; max-age=31536000; SameSite=Lax`;
