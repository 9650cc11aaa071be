/* A tree as text, after Parallax's printer: a line a module, a line a tensor. */
#include <inttypes.h>

#include "base/string.h"
#include "tensor/module.h"
#include "tensor/tensor.h"

static void print_leaf(ksk_string *out, const ksk_module *module, size_t leaf, int indent)
{
    const ksk_module_leaf_entry *entry = &module->declaration->leaves[leaf];
    const ksk_tensor *tensor = ksk_module_own(module, leaf);
    const int rank = tensor ? ksk_tensor_rank(tensor) : entry->rank;
    const int64_t *shape = tensor ? ksk_tensor_shape(tensor) : entry->shape;
    ksk_string_add(out, "%*s%s: %s%s[", indent, "", entry->name,
                   tensor ? ksk_dtype_name(ksk_tensor_dtype(tensor)) : "",
                   tensor && tensor->packing ? " packed " : "");
    for (int i = 0; i < rank; i++)
        ksk_string_add(out, "%s%" PRId64, i ? ", " : "", shape[i]);
    ksk_string_add(out, entry->trained ? "]\n" : "] buffer\n");
}

static void print_module(ksk_string *out, const ksk_module *module, int indent)
{
    const ksk_declaration *declaration = module->declaration;
    ksk_string_add(out, "%s(", declaration->type);
    for (size_t i = 0; i < declaration->setting_count; i++)
        ksk_string_add(out, "%s%s=%.9g", i ? ", " : "", declaration->settings[i].name,
                       declaration->settings[i].value);
    ksk_string_add(out, ")\n");
    for (size_t i = 0; i < declaration->leaf_count; i++)
        print_leaf(out, module, i, indent + 2);
    for (size_t i = 0; i < declaration->child_count; i++) {
        ksk_string_add(out, "%*s(%s): ", indent + 2, "", declaration->names[i]);
        print_module(out, module->children[i], indent + 2);
    }
}

char *ksk_module_print(const ksk_module *module)
{
    ksk_string out = {0};
    print_module(&out, module, 0);
    return ksk_string_take(&out);
}
