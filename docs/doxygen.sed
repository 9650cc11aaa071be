# What makes the headers' plain comments Doxygen's.
# The first is the file's.
1s,^/\* ,/** @file\n * @brief ,
# A line that only divides the file stays as it is; so does whatever is about the next line of code.
/^ *\/\* ---/b
s,^( *)/\* ,\1/** ,
# Behind a field, a value or a function.
s,([;\,]|KSK_[A-Z0-9_]+|\)) +/\* ,\1 /**< ,
s,<TAB>,\&lt;TAB\&gt;,g
