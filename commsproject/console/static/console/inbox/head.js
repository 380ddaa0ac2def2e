// The line above a thread: who it is, whether they are here, who looks after them.

import { options } from "./api.js";
import { make, part, whole } from "./dom.js";

export function drawHead(row, presence) {
  part("name").textContent = row.person.name || "Somebody";
  part("about").replaceChildren(there(presence), row.title ? ` · ${row.title}` : "");
  part("assignee-name").textContent = row.assignee ? called(row.assignee) : "Unassigned";
  part("close").textContent = row.status === "closed" ? "Reopen" : "Close";
  for (const name of ["assignee", "close", "unread"]) part(name).disabled = !options.mayAnswer;
}

function there(presence) {
  const state = presence?.state ?? "offline";
  const seen = presence?.last_seen ? `last seen ${whole(presence.last_seen)}` : "not here now";
  const text = { active: "here now", away: "away" }[state] ?? seen;
  return make("span", { class: `inbox-presence inbox-presence-${state}` }, text);
}

const called = ({ id, name }) => (id === options.me.id ? `${name} (you)` : name);

/** Who may be chosen; who looks after it now is one of them, also where they may not any more. */
export function assignees(assignee) {
  const staff = [...options.team];
  if (assignee && !staff.some((one) => one.id === assignee.id)) staff.push(assignee);
  return [{ id: "", name: "Nobody" }, ...staff.map((one) => ({ id: one.id, name: called(one) }))];
}
