/** Strokes of 24 by 24. */

export const attach = "M21 11.5l-8.5 8.5a5 5 0 0 1-7-7L14 4.5a3.3 3.3 0 0 1 4.7 4.7L10 17.5a1.7 1.7 0 0 1-2.3-2.3L15.5 7.5";
export const send = "M21 3L10.5 13.5M21 3l-6.5 18-4-7.5L3 9.5z";
export const back = "M15 5l-7 7 7 7";
export const more = "M5 11.5a.5.5 0 1 0 .01 0zM12 11.5a.5.5 0 1 0 .01 0zM19 11.5a.5.5 0 1 0 .01 0z";
export const reply = "M9 7L4 12l5 5M4 12h10a6 6 0 0 1 6 6v1";
export const edit = "M4 20l1-4L16.5 4.5a2.1 2.1 0 0 1 3 3L8 19z";
export const bin = "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13";
export const smile = "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM8.5 14a4.5 4.5 0 0 0 7 0M9 9.5h.01M15 9.5h.01";
export const down = "M12 5v14M6 13l6 6 6-6";
export const plus = "M12 5v14M5 12h14";
export const search = "M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14zM16 16l5 5";
export const close = "M6 6l12 12M18 6L6 18";
export const file = "M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7zM14 3v4h4";
export const twice = "M2 12.5l4.5 4.5L16 7.5M12 17L21.5 7.5";
export const clock = "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM12 7v5l3 2";
export const mute = "M6 8a6 6 0 0 1 9-5M18 10c0 5 2 6 2 6H8M10 20a2 2 0 0 0 4 0M3 3l18 18";
export const bell = "M6 9a6 6 0 0 1 12 0c0 6 2.5 7 2.5 7h-17S6 15 6 9zM10 20a2 2 0 0 0 4 0";
export const settings = "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4";
export const check = "M5 12.5l4.5 4.5L19 7.5";
export const archive = "M3 5h18v4H3zM5 9v10h14V9M10 13h4";
export const dot = "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z";
