/** A probe that never ends. */
setInterval(() => {}, 1000);
