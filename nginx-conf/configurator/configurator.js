// The demonstration's single-page application: it calls the function behind /dev/api1/ with a key.
const element = (id) => document.getElementById(id);

async function call(method, body) {
  const headers = { "X-API-Key": element("key").value };
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch("/dev/api1/users", { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  element("status").textContent = `${response.status} ${answer.message ?? ""}`;
  return response.ok ? answer : null;
}

async function submit(event) {
  event.preventDefault();
  const name = element("name").value.trim();
  if (name && !(await call("POST", { name }))) return;
  const answer = await call("GET");
  const items = (answer?.users ?? []).map((user) => {
    const item = document.createElement("li");
    item.textContent = `${user.id}: ${user.name}`;
    return item;
  });
  element("users").replaceChildren(...items);
}

element("route").textContent = location.pathname;
element("form").addEventListener("submit", submit);
