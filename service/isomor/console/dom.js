let lastId = 0;

/** An id that no other element of the page has. */
export const newId = () => `i${++lastId}`;

/**
 * Make an element. Properties that begin with `on` are listeners; of the rest, `false` and undefined are left out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | undefined | null | false | 0)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (typeof value === 'function') {
            element.addEventListener(name.slice(2), value);
        } else if (value !== undefined && value !== false) {
            element.setAttribute(name, value === true ? '' : String(value));
        }
    }
    element.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child || child === '')));
    return element;
}

/**
 * The element of the page with this id.
 *
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @returns {E}
 */
export function byId(id) {
    const found = document.getElementById(id);
    if (!found) {
        throw new Error(`There is no #${id}.`);
    }
    return /** @type {E} */ (found);
}

/** @param {Element} element @param {string} name @param {string | number | boolean | undefined} value */
export function attribute(element, name, value) {
    if (value === undefined || value === false) {
        element.removeAttribute(name);
    } else {
        element.setAttribute(name, value === true ? 'true' : String(value));
    }
}

/** A text in which `code` is told apart, as docstrings have it. @param {string} text */
export const prose = (text) =>
    text.split(/`+([^`]+)`+/).map((part, index) => (index % 2 ? h('code', {}, part) : part));

/** A time of day, as precise as pushes come. */
export const clock = (when = new Date()) =>
    [when.getHours(), when.getMinutes(), when.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');

/** Have a screen reader say something, once. @param {string} text */
export function say(text) {
    byId('said').textContent = text;
}

/**
 * A button that puts text on the clipboard, and says so; nothing where there is none.
 *
 * @param {string} label
 * @param {() => string | undefined} text
 */
export function copyButton(label, text) {
    /** @type {ReturnType<typeof setTimeout>} */
    let timer;
    const button = h('button', { type: 'button', class: 'button small' }, label);
    button.addEventListener('click', async () => {
        const content = text();
        if (content === undefined) {
            return;
        }
        const done = await copy(content);
        button.textContent = done ? 'Copied' : 'Could not copy';
        say(button.textContent);
        clearTimeout(timer);
        timer = setTimeout(() => (button.textContent = label), 2000);
    });
    return button;
}

/** @param {string} text */
async function copy(text) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        // Browsers have the clipboard for https and localhost alone; this older way is left everywhere.
        const area = h('textarea', { class: 'sr', 'aria-hidden': 'true' });
        area.value = text;
        const { activeElement } = document;
        document.body.append(area);
        area.select();
        const done = document.execCommand('copy');
        area.remove();
        if (activeElement instanceof HTMLElement) {
            activeElement.focus();
        }
        return done;
    }
}
